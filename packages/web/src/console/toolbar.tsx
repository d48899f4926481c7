/** The buttons above a console. Words go away before buttons do when the page is narrow. */
import type { ReactNode } from 'react';
import { Icon, type IconName } from '../ui/icons.tsx';

interface ToolProps {
  readonly icon: IconName;
  readonly label: string;
  /** Shown beside the icon where there is room; the label is said in any case. */
  readonly text?: string;
  readonly title?: string;
  readonly isDisabled?: boolean;
  /** A switch. */
  readonly isPressed?: boolean;
  readonly onPress: () => void;
}

export function Tool({ icon, label, text, title, isDisabled = false, isPressed, onPress }: ToolProps): ReactNode {
  return (
    <button
      type="button"
      className={text === undefined ? 'button square tool' : 'button tool'}
      disabled={isDisabled}
      aria-label={label}
      aria-pressed={isPressed}
      title={title ?? label}
      onClick={onPress}
    >
      <Icon name={icon} />
      {text !== undefined && <span className="button-text">{text}</span>}
    </button>
  );
}

interface ToolbarProps {
  readonly isScreen: boolean;
  readonly isLive: boolean;
  readonly hasConsole: boolean;
  readonly isScaled: boolean;
  readonly isResizable: boolean;
  readonly isResizing: boolean;
  readonly isViewOnly: boolean;
  readonly onCtrlAltDel: () => void;
  readonly onPaste: () => void;
  readonly onClipboard: () => void;
  readonly onScreenshot: () => void;
  readonly onScreenText: () => void;
  readonly onSendSize: () => void;
  readonly onScaled: () => void;
  readonly onResizing: () => void;
  readonly onViewOnly: () => void;
  readonly onFullScreen: () => void;
}

export function Toolbar(props: ToolbarProps): ReactNode {
  const { isScreen, isLive, hasConsole, isScaled, isResizable, isResizing, isViewOnly } = props;
  const canType = isLive && !isViewOnly;
  return (
    <div className="tools" role="toolbar" aria-label="Console">
      {isScreen ? (
        <>
          <Tool
            icon="keyboard"
            label="Ctrl+Alt+Del"
            text="Ctrl+Alt+Del"
            isDisabled={!canType}
            onPress={props.onCtrlAltDel}
          />
          <Tool
            icon="camera"
            label="Screenshot"
            title="Save the screen as a PNG"
            isDisabled={!isLive}
            onPress={props.onScreenshot}
          />
          <Tool icon="text" label="Screen as text" isDisabled={!hasConsole} onPress={props.onScreenText} />
        </>
      ) : (
        <Tool
          icon="terminal"
          label="Tell the size"
          text="Tell the size"
          title="Types stty rows … cols … into the shell: a serial line knows no size"
          isDisabled={!canType}
          onPress={props.onSendSize}
        />
      )}
      <Tool
        icon="paste"
        label="Type text"
        title="Type text into the guest"
        isDisabled={!canType}
        onPress={props.onPaste}
      />
      {isScreen && (
        <Tool
          icon="clipboard"
          label="Clipboard"
          title="The guest's clipboard, where VMware's tools run in it"
          isDisabled={!canType}
          onPress={props.onClipboard}
        />
      )}
      {isScreen && (
        <Tool
          icon="fit"
          label="Fit the screen to the page"
          title="Fit to the page, or dot for dot"
          isPressed={isScaled}
          onPress={props.onScaled}
        />
      )}
      {isScreen && isResizable && (
        <Tool
          icon="resize"
          label="Fit the guest to the page"
          title="Ask the guest for a screen as large as the page, whenever that changes"
          isDisabled={isViewOnly}
          isPressed={isResizing}
          onPress={props.onResizing}
        />
      )}
      <Tool icon="eye" label="View only" isPressed={isViewOnly} onPress={props.onViewOnly} />
      <Tool icon="expand" label="Full screen" isDisabled={!hasConsole} onPress={props.onFullScreen} />
    </div>
  );
}
