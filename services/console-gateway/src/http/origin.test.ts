import { expect, test } from 'vitest';
import { checkOrigin } from './origin.ts';

const ALLOWED = ['https://tomei.example'];
const verdict = (origin: string | undefined, host: string | undefined): string => {
  try {
    checkOrigin({ origin, host }, ALLOWED);
    return 'allowed';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test.each<[origin: string | undefined, host: string | undefined, verdict: string]>([
  [undefined, 'lab:8000', 'allowed'],
  ['http://lab:8000', 'lab:8000', 'allowed'],
  ['http://lab:8000', 'LAB:8000', 'allowed'],
  ['https://lab', 'lab', 'allowed'],
  ['http://[::1]:8000', '[::1]:8000', 'allowed'],
  ['https://tomei.example', 'gateway:8006', 'allowed'],
  ['http://tomei.example', 'gateway:8006', 'origin.denied'],
  ['http://lab:8001', 'lab:8000', 'origin.denied'],
  ['http://lab:8000.evil.example', 'lab:8000', 'origin.denied'],
  ['file://lab:8000', 'lab:8000', 'origin.denied'],
  ['null', 'lab:8000', 'origin.denied'],
  ['', '', 'origin.denied'],
  ['http://lab:8000', undefined, 'origin.denied'],
])('a page of %s at %s: %s', (origin, host, expected) => {
  expect(verdict(origin, host)).toBe(expected);
});
