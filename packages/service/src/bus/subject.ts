/** Subjects and patterns as NATS has them: tokens between dots, `*` for one token, `>` for the rest. */
import { TomeiError } from '@tomei/kit';

const TOKEN = /^[!-)+-\-/-=?-~]+$/;
/** NATS takes longer ones; nothing of ours is. */
const MAX_LENGTH = 256;

/** Throws `bus.bad-subject` for what is no subject to publish on. */
export function checkSubject(subject: string): void {
  if (subject.length <= MAX_LENGTH && subject.split('.').every((token) => TOKEN.test(token))) return;
  refuse(subject, 'subject');
}
/** Throws `bus.bad-subject`. */
export function checkPattern(pattern: string): void {
  const tokens = pattern.split('.');
  const fits = (token: string, at: number): boolean =>
    token === '*' || (token === '>' && at === tokens.length - 1) || TOKEN.test(token);
  if (pattern.length <= MAX_LENGTH && tokens.every(fits)) return;
  refuse(pattern, 'pattern');
}
function refuse(text: string, what: string): never {
  throw new TomeiError('bus.bad-subject', `${JSON.stringify(text.slice(0, 80))} is no ${what} of NATS`);
}

export function matches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const tokens = subject.split('.');
  for (const [at, token] of wanted.entries()) {
    if (token === '>') return tokens.length > at;
    if (token !== '*' && token !== tokens[at]) return false;
    if (tokens[at] === undefined) return false;
  }
  return wanted.length === tokens.length;
}
