import { kidOf, NOTE, parseSecrets, splitSecrets } from './secrets.ts'

/** The steps by which one secret takes the place of another, in their order. */
export const steps = ['next', 'promote', 'retire'] as const
export type Step = (typeof steps)[number]

/** Why a step can't be done: a sentence for whoever asked for it, without a word of a secret. */
export class RotationFault extends Error {
  override readonly name = 'RotationFault'
}

/** That a step comes before it is safe. */
export class TooEarly extends RotationFault {
  /** When it is safe, in milliseconds since 1970. */
  readonly at: number

  constructor(step: Step, at: number, now: number) {
    const left = Math.ceil((at - now) / 1_000)
    super(`too early to ${step}: ${left} s left, safe at ${new Date(at).toISOString()}`)
    this.at = at
  }
}

export interface RotationParts {
  /** Milliseconds since 1970. */
  readonly now: number
  /** The secret that `next` adds, in the form that parseSecrets reads. */
  readonly newSecret: string
  /** Seconds until every node has read a file that was changed. */
  readonly propagation: number
  /** Seconds for which a token may be let in after it was signed: its life and the leeway of the clocks. */
  readonly tokenLife: number
  /** Whether to do the step now, however early it is. */
  readonly atOnce: boolean
}

/** What a step made of the secrets. */
export interface Rotated {
  /** The whole new content of the file. */
  readonly text: string
  /** The kids in force, the signing one first. */
  readonly kids: readonly string[]
  /** The step that comes next, and when it is safe in milliseconds since 1970; undefined after the last. */
  readonly following: { readonly step: Step; readonly at: number } | undefined
}

// What is known of a secret stands in a line of its own, in the file itself: both change together or not at all.
const NOTE_FORM = new RegExp(`^${NOTE}(added|promoted|dropped-at-once) ([\\w-]{16}) (\\d{4}-\\S+Z)\\s*$`)

interface Note {
  readonly fact: 'added' | 'promoted' | 'dropped-at-once'
  readonly kid: string
  /** Milliseconds since 1970. */
  readonly at: number
}

interface Secret {
  readonly kid: string
  /** As the file gives it. */
  readonly words: string
}

interface State {
  /** The first signs. */
  readonly secrets: readonly [Secret, ...Secret[]]
  readonly notes: readonly Note[]
}

/**
 * Does one step of a rotation: `next` puts a new secret behind the one that signs, `promote` puts the second one first,
 * `retire` drops all but the first. Each is safe once every node knows what the step before it brought, and `retire` once
 * no token of the dropped ones is alive.
 *
 * @param text the content of the file, as parseSecrets reads it; it may have been written by hand
 * @throws RotationFault where the step comes out of order or too early; SecretFault
 */
export function rotate(step: Step, text: string, parts: RotationParts): Rotated {
  const { secrets, notes, following } = take[step]({ secrets: secretsIn(text), notes: notesIn(text) }, parts)
  return { text: formatState({ secrets, notes }), kids: secrets.map(({ kid }) => kid), following }
}

/** @returns the kids that the file says are dropped on purpose, though tokens of theirs may be alive */
export function droppedAtOnce(text: string): ReadonlySet<string> {
  return new Set(lasting(notesIn(text)).map(({ kid }) => kid))
}

type Take = (state: State, parts: RotationParts) => State & Pick<Rotated, 'following'>

const take: Readonly<Record<Step, Take>> = {
  next({ secrets: [signing, ...others], notes }, { now, newSecret, propagation }) {
    const [waiting] = others
    if (findNote(notes, 'added', waiting) !== undefined) {
      throw new RotationFault(`${waiting?.kid} has been added and waits: the step to do is promote`)
    }
    if (waiting !== undefined && findNote(notes, 'promoted', signing) !== undefined) {
      throw new RotationFault(`${signing.kid} has taken the place of another: the step to do is retire`)
    }
    const [added] = secretsIn(newSecret)
    return {
      secrets: [signing, added, ...others],
      notes: [...lasting(notes), { fact: 'added', kid: added.kid, at: now }],
      following: { step: 'promote', at: now + propagation * 1_000 },
    }
  },

  promote({ secrets: [signing, waiting, ...others], notes }, { now, propagation, tokenLife, atOnce }) {
    if (waiting === undefined) throw new RotationFault(`${signing.kid} is alone: the step to do is next`)
    if (findNote(notes, 'promoted', signing) !== undefined) {
      throw new RotationFault(`${signing.kid} signs already: the step to do is retire`)
    }
    if (!atOnce) {
      const added = findNote(notes, 'added', waiting)
      if (added === undefined) throw unknownSince(`${waiting.kid} has been in it`, propagation)
      requirePast('promote', added.at + propagation * 1_000, now)
    }
    return {
      secrets: [waiting, signing, ...others],
      notes: [...lasting(notes), { fact: 'promoted', kid: waiting.kid, at: now }],
      following: { step: 'retire', at: now + (propagation + tokenLife) * 1_000 },
    }
  },

  retire({ secrets: [signing, ...others], notes }, { now, propagation, tokenLife, atOnce }) {
    const [other] = others
    if (other === undefined) throw new RotationFault(`${signing.kid} is alone: the step to do is next`)
    if (findNote(notes, 'added', other) !== undefined) {
      throw new RotationFault(`${other.kid} doesn't sign yet: the step to do is promote`)
    }
    if (!atOnce) {
      const promoted = findNote(notes, 'promoted', signing)
      if (promoted === undefined) throw unknownSince(`${signing.kid} has signed`, propagation + tokenLife)
      requirePast('retire', promoted.at + (propagation + tokenLife) * 1_000, now)
    }
    const dropped = atOnce ? others.map(({ kid }): Note => ({ fact: 'dropped-at-once', kid, at: now })) : []
    return { secrets: [signing], notes: [...lasting(notes), ...dropped], following: undefined }
  },
}

function unknownSince(what: string, seconds: number): RotationFault {
  return new RotationFault(`it doesn't say since when ${what}; --now, if that is ${seconds} s or more`)
}

function requirePast(step: Step, at: number, now: number): void {
  if (now < at) throw new TooEarly(step, at, now)
}

function findNote(notes: readonly Note[], fact: Note['fact'], of: Secret | undefined): Note | undefined {
  return notes.findLast((note) => note.fact === fact && note.kid === of?.kid)
}

// A node that hasn't read the file since then still has to learn that it was meant.
function lasting(notes: readonly Note[]): readonly Note[] {
  return notes.filter(({ fact }) => fact === 'dropped-at-once')
}

function secretsIn(text: string): readonly [Secret, ...Secret[]] {
  const words = splitSecrets(text)
  const secrets = parseSecrets(text).map((secret, index) => ({ kid: kidOf(secret), words: words[index] }))
  return secrets as unknown as readonly [Secret, ...Secret[]]
}

function notesIn(text: string): readonly Note[] {
  const matches = text.split('\n').map((line) => NOTE_FORM.exec(line) ?? [])
  const notes = matches.map(([, fact, kid, at]) => ({ fact, kid, at: Date.parse(at as string) }) as Note)
  return notes.filter(({ at }) => !Number.isNaN(at))
}

function formatState({ secrets, notes }: State): string {
  const lines = notes.map(({ fact, kid, at }) => `${NOTE}${fact} ${kid} ${new Date(at).toISOString()}`)
  return `${[...lines, secrets.map(({ words }) => words).join(',')].join('\n')}\n`
}
