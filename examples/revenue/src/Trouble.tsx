import { isOutage } from './latchkey.ts'
import type { Polled } from './polled.ts'
import { clock, explain } from './words.ts'

/** Says what could not be loaded, and loads it again. */
export function Trouble({ of: polled }: { readonly of: readonly Polled<unknown>[] }) {
  const broken = polled.filter(({ error }) => error !== undefined)
  const [first] = broken
  if (!first) return null
  const isLoading = broken.some((each) => each.isLoading)
  return (
    <div className="notice bad banner">
      <p role="alert">
        <strong>{explain(first.error)}</strong>{' '}
        {isOutage(first.error) && 'You stay signed in, and this page goes on trying.'}{' '}
        {first.at && first.value !== undefined && `What you see is from ${clock(first.at)}.`}
      </p>
      <button
        type="button"
        aria-disabled={isLoading}
        onClick={() => {
          for (const each of broken) each.look()
        }}
      >
        Try again
      </button>
    </div>
  )
}
