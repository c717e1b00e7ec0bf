import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'

/** Why somebody at a terminal gave no password. */
export class PromptFault extends Error {
  override readonly name = 'PromptFault'
}

/** Where a password is typed or comes from: process.stdin, most of the time. */
export type PasswordInput = Readable & { readonly isTTY?: boolean }

/**
 * Reads a password. At a terminal it is asked for twice and never shown, for a slip of the finger can't be seen;
 * from anywhere else it is all there is to read, but for the end of the line.
 *
 * @param output where the questions go
 * @throws PromptFault if the two differ or whoever was asked gave up
 */
export async function readPassword(input: PasswordInput, output: Writable): Promise<string> {
  if (input.isTTY !== true) return (await text(input)).replace(/\r?\n$/, '')
  const password = await ask('Password: ', input, output)
  const again = await ask('Once more: ', input, output)
  if (password !== again) throw new PromptFault('the two passwords differ')
  return password
}

async function ask(question: string, input: Readable, output: Writable): Promise<string> {
  output.write(question)
  // readline would show every key that is pressed.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input, output: nowhere, terminal: true })
  try {
    return await new Promise((answered, gaveUp) => {
      lines.once('line', answered)
      // Ctrl-C, or Ctrl-D on an empty line.
      lines.once('close', () => gaveUp(new PromptFault('no password was given')))
    })
  } finally {
    lines.close()
    output.write('\n')
  }
}
