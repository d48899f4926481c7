/** What a guest's drivers did wrong, for people. The guest decides how often that happens, so only the first few are told. */

/** Of one device. */
const MOST_TOLD = 5;

/** What the machine calls; `tell` gets a sentence for each that is to be told. */
export function tellSome(tell: (text: string) => void): (device: string, what: string) => void {
  const told = new Map<string, number>();
  return (device, what) => {
    const count = (told.get(device) ?? 0) + 1;
    if (count > MOST_TOLD) return;
    told.set(device, count);
    tell(`${device}: ${what}${count === MOST_TOLD ? '; more of this device is not told' : ''}`);
  };
}
