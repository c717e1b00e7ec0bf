import { dictionary } from '@zxcvbn-ts/language-common'
import { type FieldError, Problem } from '../problem.ts'

/** No password is longer, in code points: 512 bytes of UTF-8 at most. */
export const LONGEST_PASSWORD = 128

/** A password that says little besides the account's own words is refused: so many code points must be left. */
const OWN_CODE_POINTS = 8

/**
 * The form in which a password is hashed and compared (NIST SP 800-63B-4 section 3.1.1.2: NFC or NFKC before
 * hashing), so that it doesn't matter how a keyboard composes its characters.
 */
export function normalizePassword(password: string): string {
  return password.normalize('NFC')
}

/** Whether a text can be somebody's password at all: well-formed, without control characters, and not over-long. */
export function isPassword(text: string): boolean {
  return (
    text.isWellFormed() &&
    !/\p{Cc}/u.test(text) &&
    text.length <= 4 * LONGEST_PASSWORD &&
    codePoints(normalizePassword(text)) <= LONGEST_PASSWORD
  )
}

export interface PasswordPolicy {
  /**
   * @param password what isPassword let through
   * @param ownWords the account's address and name, as far as it has them
   * @param path the field that errors[] names
   * @throws Problem password_too_weak with each reason in errors[]
   */
  check(password: string, ownWords: readonly (string | null)[], path: string): void
}

/**
 * The policy of NIST SP 800-63B-4 section 3.1.1.2: a length, a blocklist and no rules of composition.
 *
 * @param minLength code points a password needs
 */
export function createPolicy(minLength: number): PasswordPolicy {
  const common = new Set<string>()
  for (const password of dictionary['passwords-common']) {
    if (codePoints(password) >= minLength) common.add(fold(password))
  }

  return {
    check(password, ownWords, path) {
      const folded = fold(normalizePassword(password))
      const reasons: string[] = []
      if (codePoints(normalizePassword(password)) < minLength) {
        reasons.push(`must have at least ${minLength} characters`)
      }
      if (common.has(folded)) reasons.push('is one of the most common passwords')
      if (new Set(folded).size < 5) reasons.push('must not be the same few characters again and again')
      const rest = without(folded, ownWords)
      if (rest !== folded && codePoints(rest) < Math.min(OWN_CODE_POINTS, minLength)) {
        reasons.push('must be more than your address, your name or the name of this service')
      }
      if (reasons.length > 0) {
        const errors: FieldError[] = reasons.map((message) => ({ path, message }))
        throw new Problem('password_too_weak', { detail: `The password ${reasons.join(', and ')}.`, errors })
      }
    },
  }
}

function without(folded: string, ownWords: readonly (string | null)[]): string {
  const words = [
    'latchkey',
    ...ownWords.flatMap((word) => (word === null ? [] : [word, ...word.split(/[\s@.]+/)])),
  ]
  return words
    .map((word) => fold(word.normalize('NFC')))
    .filter((word) => codePoints(word) >= 3)
    .sort((a, b) => b.length - a.length)
    .reduce((rest, word) => rest.replaceAll(word, ''), folded)
}

function fold(text: string): string {
  return text.toLowerCase()
}

function codePoints(text: string): number {
  return [...text].length
}
