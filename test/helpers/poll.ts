/**
 * Milliseconds in which has to be seen what is promised within a second. test/faults measures it; here it has only to be
 * told from what takes ten, however busy the machine is.
 */
export const PROMPTLY = 5_000

/**
 * Waits until something holds, and looks every few milliseconds.
 *
 * @returns what `check` returned once it was neither undefined nor false
 * @throws an Error that names what was waited for, once `deadline` milliseconds have passed
 */
export async function poll<Result>(
  what: string,
  check: () => Result | undefined | false | Promise<Result | undefined | false>,
  deadline = 30_000,
): Promise<Result> {
  const end = Date.now() + deadline
  for (;;) {
    const result = await check()
    if (result !== undefined && result !== false) return result
    if (Date.now() > end) throw new Error(`waited ${deadline} ms for: ${what}`)
    await new Promise((next) => setTimeout(next, 10))
  }
}
