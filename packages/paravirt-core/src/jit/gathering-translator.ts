/** For tests: translates several requests together, and later, as a thread does, so that regions get several entries. */
import { decoder } from '../core/processor.ts';
import { DirectTranslator, type Translated, type TranslationRequest } from './translator.ts';

/** So often is looked for what is ready until what waits is translated, however little it is. */
const MOST_LOOKS = 20;

export class GatheringTranslator extends DirectTranslator {
  /** Regions with several entries that were taken. */
  joined = 0;
  private readonly most: number;
  private waiting: TranslationRequest[] = [];
  private looks = 0;

  /** @param most requests that are waited for */
  constructor(most: number) {
    super(decoder());
    this.most = most;
  }
  override request(request: TranslationRequest): void {
    this.waiting.push(request);
  }
  override take(): Translated | undefined {
    if (this.waiting.length >= this.most || ++this.looks % MOST_LOOKS === 0) {
      for (const mode of new Set(this.waiting.map((each) => each.mode)))
        this.translate(this.waiting.filter((each) => each.mode === mode));
      this.waiting = [];
    }
    const taken = super.take();
    for (const { ids } of taken?.regions ?? []) if (ids.length > 1) this.joined++;
    return taken;
  }
}
