import { Bar, BarChart, CartesianGrid, Cell, ReferenceLine, Tooltip, XAxis, YAxis } from 'recharts'
import type { Totals } from '../server/revenue.ts'
import { Change } from './Change.tsx'
import { longDay, money, roundMoney, shortDay } from './words.ts'

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)

/** The chart of the weeks, with the sum and the same in words and as a table. */
export function Weekly({ weeks, products }: Totals) {
  const total = sum(weeks.map(({ cents }) => cents))
  const before = sum(products.map((product) => product.before))
  const average = total / weeks.length
  const best = weeks.reduce((best, week) => (week.cents > best.cents ? week : best))
  const latest = weeks.at(-1) ?? best
  return (
    <section className="card weekly" aria-labelledby="weekly">
      <h2 id="weekly">Weekly revenue</h2>
      <p className="figure">{money(total)}</p>
      <p className="beside">
        <Change now={total} before={before} than={`the ${weeks.length} weeks before`} />
      </p>
      <figure>
        <BarChart
          responsive
          className="chart"
          data={[...weeks]}
          margin={{ top: 12, right: 0, bottom: 0, left: 0 }}
          barCategoryGap="22%"
          aria-label="Revenue of each week. It is there as a table too."
        >
          <CartesianGrid vertical={false} />
          <XAxis
            dataKey="week"
            tickFormatter={shortDay}
            tickLine={false}
            interval="equidistantPreserveStart"
            minTickGap={12}
          />
          <YAxis width="auto" tickFormatter={roundMoney} axisLine={false} tickLine={false} tickCount={5} />
          <Tooltip content={Tip} isAnimationActive={false} />
          <Bar dataKey="cents" radius={[3, 3, 0, 0]} isAnimationActive={false}>
            {weeks.map(({ week }) => (
              <Cell key={week} className={week === latest.week ? 'latest' : ''} />
            ))}
          </Bar>
          <ReferenceLine y={average} />
        </BarChart>
        <figcaption className="keys">
          <span className="key latest">
            Latest week <b>{money(latest.cents)}</b>
          </span>
          <span className="key">
            Best week, of {shortDay(best.week)} <b>{money(best.cents)}</b>
          </span>
          <span className="key average">
            Average <b>{money(average)}</b>
          </span>
        </figcaption>
      </figure>
      <details>
        <summary>As a table</summary>
        <table>
          <thead>
            <tr>
              <th scope="col">Week of</th>
              <th scope="col" className="number">
                Revenue
              </th>
            </tr>
          </thead>
          <tbody>
            {weeks.toReversed().map(({ week, cents }) => (
              <tr key={week}>
                <td>{longDay(week)}</td>
                <td className="number">{money(cents)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </section>
  )
}

interface TipProps {
  readonly payload?: readonly { readonly payload?: Totals['weeks'][number] }[]
}

function Tip({ payload }: TipProps) {
  const week = payload?.[0]?.payload
  return (
    week && (
      <p className="tip" role="status">
        Week of {shortDay(week.week)} <strong>{money(week.cents)}</strong>
      </p>
    )
  )
}
