/** The picture of a guest's screen, renewed while somebody can see it. */
import { useEffect, useState, type RefObject } from 'react';
import { nextPaceMs } from './thumbnail-pace.ts';

/**
 * An object URL of the newest picture, or undefined before the first. Nothing is asked for while `frame` is out of sight or
 * the tab is in the background; the browser's cache answers with the ETag, so that a still screen costs a 304.
 */
export function useThumbnail(url: string | undefined, frame: RefObject<HTMLElement | null>): string | undefined {
  const [picture, setPicture] = useState<string>();
  const [isSeen, setSeen] = useState(false);

  useEffect(() => {
    const element = frame.current;
    if (element === null) return undefined;
    let isInView = false;
    const tell = (): void => setSeen(isInView && !document.hidden);
    const observer = new IntersectionObserver((entries) => {
      isInView = entries.at(-1)?.isIntersecting ?? false;
      tell();
    });
    observer.observe(element);
    document.addEventListener('visibilitychange', tell);
    return () => {
      observer.disconnect();
      document.removeEventListener('visibilitychange', tell);
    };
  }, [frame]);

  useEffect(() => {
    if (url === undefined || !isSeen) return undefined;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    let version: string | undefined;
    let paceMs = 0;
    const look = async (): Promise<void> => {
      let hasChanged = false;
      try {
        const answer = await fetch(url, { cache: 'no-cache', signal: abort.signal });
        const etag = answer.headers.get('etag') ?? '';
        hasChanged = answer.ok && (etag === '' || etag !== version);
        if (hasChanged) {
          const blob = await answer.blob();
          version = etag;
          if (!abort.signal.aborted) setPicture(URL.createObjectURL(blob));
        }
      } catch {
        // The guest may just have ended, or the gateway is away: the last picture stays, and it is tried again.
      }
      if (abort.signal.aborted) return;
      paceMs = nextPaceMs(paceMs, hasChanged);
      timer = setTimeout(() => void look(), paceMs);
    };
    void look();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [url, isSeen]);

  useEffect(() => {
    if (url === undefined) setPicture(undefined);
  }, [url]);
  useEffect(() => {
    if (picture === undefined) return undefined;
    return () => URL.revokeObjectURL(picture);
  }, [picture]);
  return picture;
}
