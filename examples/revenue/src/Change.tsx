import { change } from './words.ts'

interface ChangeProps {
  readonly now: number
  readonly before: number
  /** Compared with what, where that isn't said elsewhere. */
  readonly than?: string
}

/** By how much something went up or down: by its sign, its arrow and its colour. */
export function Change({ now, before, than }: ChangeProps) {
  return (
    <span className={now < before ? 'change down' : 'change up'}>
      <svg viewBox="0 0 10 10" width="9" height="9" aria-hidden="true">
        <path d={now < before ? 'M0 2h10L5 9z' : 'M0 8h10L5 1z'} />
      </svg>
      {change(now, before)}
      {than && <small> on {than}</small>}
    </span>
  )
}
