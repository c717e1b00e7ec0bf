import { readFile } from 'node:fs/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Keyring } from './keyring.ts'
import { droppedAtOnce } from './rotation.ts'
import { kidOf, parseSecrets, type SecretFault } from './secrets.ts'

/** Milliseconds between two looks at the file. */
const INTERVAL = 1_000

export interface SecretReloadParts {
  /** The file that the secrets of the keyring came from. */
  readonly path: string
  readonly keyring: Keyring
  /** Seconds for which a token may be let in after it was signed: its life and the leeway of the clocks. */
  readonly tokenLife: number
  readonly log: FastifyBaseLogger
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Milliseconds between two looks at the file; a second unless it is given. */
  readonly interval?: number
}

/**
 * Follows the file that the secrets came from, and puts into force what it says. What can't be used is refused, and the
 * secrets stay as they are; so is a list without a secret whose tokens may be alive, until they are not, unless the file
 * itself says that it is meant (`latchkey secret rotate --now`).
 *
 * The file is read whole, once a second: that sees what was renamed into its place, a link that turned elsewhere, and a
 * change right after the start, on every file system. None of it keeps the process alive.
 *
 * @returns a function that looks at the file now, and says in the log what came of it, even if nothing did
 */
export function followSecretFile(parts: SecretReloadParts): () => Promise<void> {
  const { path, keyring, tokenLife, clock, interval = INTERVAL } = parts
  // Like every security event, whatever LOG_LEVEL says.
  const log = parts.log.child({}, { level: 'info' })
  /** Until when a secret has signed here, in milliseconds since 1970. */
  const signedUntil = new Map<string, number>()
  /** What was refused last. */
  let refused: string | undefined

  async function look(asked: boolean): Promise<void> {
    let text: string
    let secrets: readonly Buffer[]
    try {
      text = await readFile(path, 'utf8')
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      return refuse({ asked, what: String(code), reason: `can't be read (${code})` })
    }
    try {
      secrets = parseSecrets(text)
    } catch (fault) {
      return refuse({ asked, what: text, reason: (fault as SecretFault).message })
    }
    await take(asked, text, secrets)
  }

  async function take(asked: boolean, text: string, secrets: readonly Buffer[]): Promise<void> {
    const [before, kids] = [keyring.kids, secrets.map(kidOf)]
    const signing = before[0] as string
    const atOnce = droppedAtOnce(text)
    const dropped = before.filter((kid) => !kids.includes(kid) && !atOnce.has(kid))
    const left = Math.ceil(Math.max(0, ...dropped.map((kid) => secondsLeft(kid, signing))))
    if (left > 0) {
      const when = dropped.includes(signing) ? `for ${left} s after it last signs` : `for ${left} s more`
      const reason = `drops a secret whose tokens may be let in ${when}`
      return refuse({ asked, what: text, reason, seconds_left: left })
    }
    if (kids.join() !== before.join()) {
      await keyring.replace(secrets)
      signedUntil.set(signing, clock())
      log.info({ event: 'secrets_reloaded', path, kids_before: before, kids }, 'secrets_reloaded')
    } else if (asked || refused !== undefined) {
      // Who was told of a fault is told that it is over.
      log.info({ event: 'secrets_unchanged', path, kids }, 'secrets_unchanged')
    }
    refused = undefined
  }

  function secondsLeft(kid: string, signing: string): number {
    if (kid === signing) return tokenLife
    return ((signedUntil.get(kid) ?? -Infinity) - clock()) / 1_000 + tokenLife
  }

  // The log is told of the same thing once, not at every look.
  function refuse({ asked, what, ...why }: Refusal): void {
    if (!asked && refused === what) return
    refused = what
    log.error({ event: 'secrets_refused', path, ...why, kids: keyring.kids }, 'secrets_refused')
  }

  // One after the other, each with what the file says by then: none can bring back what another has replaced.
  let turn = Promise.resolve()
  function inTurn(asked: boolean): Promise<void> {
    turn = turn.then(() => look(asked))
    return turn
  }

  async function follow(): Promise<void> {
    await inTurn(false)
    setTimeout(follow, interval).unref()
  }
  setTimeout(follow, interval).unref()

  return () => inTurn(true)
}

interface Refusal {
  readonly asked: boolean
  /** What was refused: the file's text, or the file system's code. It isn't logged. */
  readonly what: string
  readonly reason: string
  readonly seconds_left?: number
}
