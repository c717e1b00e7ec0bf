import { z } from 'zod'

const units = { d: 86_400, h: 3_600, m: 60, s: 1 } as const

/**
 * Reads a duration such as `30s`, `10m`, `12h` or `7d`.
 *
 * @returns whole seconds, or undefined where the text is no duration of at least a second
 */
export function parseDuration(text: string): number | undefined {
  const match = /^([1-9]\d{0,8})([smhd])$/.exec(text)
  if (match === null) return undefined
  return Number(match[1]) * units[match[2] as keyof typeof units]
}

/** Writes whole seconds as parseDuration reads them, in the largest unit that fits without a rest. */
export function formatDuration(seconds: number): string {
  const [unit, length] = Object.entries(units).find(([, length]) => seconds % length === 0) as [
    string,
    number,
  ]
  return `${seconds / length}${unit}`
}

/**
 * The schema of a duration in whole seconds, as parseDuration reads it.
 *
 * @param longest seconds
 * @param examples what a fault names as such
 */
export function durationUpTo(longest: number, examples: string) {
  return z.string().transform((text, context) => {
    const seconds = parseDuration(text)
    if (seconds !== undefined && seconds <= longest) return seconds
    context.addIssue(`must be a duration such as ${examples}, at most ${formatDuration(longest)}`)
    return z.NEVER
  })
}
