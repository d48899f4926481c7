/** What these pages use of noVNC (docs/API.md of @novnc/novnc 1.7), which brings no types. */
declare module '@novnc/novnc' {
  interface RfbEvents {
    connect: CustomEvent<Record<string, never>>;
    disconnect: CustomEvent<{ readonly clean: boolean }>;
    credentialsrequired: CustomEvent<{ readonly types: readonly string[] }>;
    securityfailure: CustomEvent<{ readonly status: number; readonly reason?: string }>;
    clipboard: CustomEvent<{ readonly text: string }>;
    desktopname: CustomEvent<{ readonly name: string }>;
  }

  class RFB {
    constructor(
      target: HTMLElement,
      channel: WebSocket,
      options?: { readonly shared?: boolean; readonly credentials?: { readonly password: string } },
    );
    background: string;
    clipViewport: boolean;
    dragViewport: boolean;
    focusOnClick: boolean;
    resizeSession: boolean;
    scaleViewport: boolean;
    viewOnly: boolean;
    addEventListener<K extends keyof RfbEvents>(type: K, listener: (event: RfbEvents[K]) => void): void;
    blur(): void;
    clipboardPasteFrom(text: string): void;
    disconnect(): void;
    focus(): void;
    sendCredentials(credentials: { readonly password: string }): void;
    sendCtrlAltDel(): void;
    sendKey(keysym: number, code: string, down?: boolean): void;
    toBlob(callback: (blob: Blob | null) => void, type?: string): void;
  }
  export { RFB as default };
}
