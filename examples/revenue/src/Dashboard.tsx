import type { Claims } from 'latchkey/client'
import { useCallback, useState } from 'react'
import type { Deal, Totals } from '../server/revenue.ts'
import { Deals } from './Deals.tsx'
import { load } from './latchkey.ts'
import { Products } from './Products.tsx'
import { type Polled, usePolled } from './polled.ts'
import { Skeleton } from './Skeleton.tsx'
import { Title } from './Title.tsx'
import { Trouble } from './Trouble.tsx'
import { Weekly } from './Weekly.tsx'
import { longDay } from './words.ts'

/** @param monday as 2026-11-16 */
const lastDayOf = (monday: string) => longDay(new Date(Date.parse(monday) + 6 * 86_400_000).toISOString())

/** What somebody may see follows from the scopes of the token. The server decides by the same, so this hides no secret. */
export function Dashboard({ me }: { readonly me: Polled<Claims> }) {
  const scopes = me.value?.scope.split(' ')
  if (scopes?.includes('revenue:read')) return <Figures me={me} hasDeals={scopes.includes('deals:read')} />
  return (
    <>
      <div className="head">
        <Title>Revenue</Title>
      </div>
      <Trouble of={[me]} />
      {scopes ? <NoAccess /> : <Skeleton hasDeals={false} />}
    </>
  )
}

function NoAccess() {
  return (
    <section className="card empty" aria-labelledby="no-access">
      <h2 id="no-access">You’re in, but there is nothing to see yet</h2>
      <p>
        Your account has no role that includes Fernhill’s revenue. Ask an administrator to make you a{' '}
        <strong>viewer</strong>, who sees the totals, or an <strong>analyst</strong>, who sees deals as well.
      </p>
      <p>This page notices by itself when that is done. You needn’t sign in again.</p>
    </section>
  )
}

interface FiguresProps {
  readonly me: Polled<Claims>
  readonly hasDeals: boolean
}

function Figures({ me, hasDeals }: FiguresProps) {
  const [weeks, setWeeks] = useState(12)
  const figures = usePolled(
    useCallback(
      async (signal: AbortSignal) => {
        const [totals, more] = await Promise.all([
          load<Totals>(`/api/revenue?weeks=${weeks}`, signal),
          hasDeals ? load<{ deals: readonly Deal[] }>('/api/deals', signal) : undefined,
        ])
        return { weeks, totals, deals: more?.deals }
      },
      [weeks, hasDeals],
    ),
  )
  const { value } = figures
  const last = value?.totals.weeks.at(-1)
  return (
    <>
      <div className="head">
        <div>
          <Title>Revenue</Title>
          <p>{last ? `Weeks up to ${lastDayOf(last.week)}` : 'Loading …'}</p>
        </div>
        <fieldset className="choice">
          <legend className="unseen">Weeks to show</legend>
          {[12, 26].map((choice) => (
            <label key={choice}>
              <input type="radio" name="weeks" checked={weeks === choice} onChange={() => setWeeks(choice)} />
              {choice} weeks
            </label>
          ))}
        </fieldset>
      </div>
      <Trouble of={[figures, me]} />
      {value ? (
        <div className="figures" aria-busy={value.weeks !== weeks}>
          <Weekly {...value.totals} />
          <Products products={value.totals.products} />
          {hasDeals && value.deals && <Deals deals={value.deals} />}
        </div>
      ) : (
        <Skeleton hasDeals={hasDeals} />
      )}
    </>
  )
}
