import { Bar, BarChart, XAxis, YAxis } from 'recharts'
import type { Deal } from '../server/revenue.ts'
import { count, longDay, money, shortDay } from './words.ts'

const stages = ['Contract', 'Negotiation', 'Proposal', 'Lead'] as const

/** What analysts see besides: each deal, and how much there is at each stage. */
export function Deals({ deals }: { readonly deals: readonly Deal[] }) {
  const total = deals.reduce((sum, { cents }) => sum + cents, 0)
  const expected = deals.reduce((sum, { cents, probability }) => sum + (cents * probability) / 100, 0)
  const byStage = stages.map((stage) => {
    const there = deals.filter((deal) => deal.stage === stage)
    return { stage, cents: there.reduce((sum, { cents }) => sum + cents, 0), number: there.length }
  })
  return (
    <section className="card deals" aria-labelledby="deals">
      <h2 id="deals">Deals in progress</h2>
      <p className="figure">{money(total)}</p>
      <p className="beside">{money(expected)} if weighted by chance</p>
      <BarChart
        responsive
        className="stages"
        layout="vertical"
        data={[Object.fromEntries(byStage.map(({ stage, cents }) => [stage, cents]))]}
        margin={{ top: 0, right: 0, bottom: 0, left: 0 }}
        barCategoryGap={0}
        accessibilityLayer={false}
        role="img"
        aria-label="How much there is at each stage. The same stands below."
      >
        <XAxis type="number" hide domain={[0, 'dataMax']} />
        <YAxis type="category" hide />
        {stages.map((stage) => (
          <Bar
            key={stage}
            className={stage.toLowerCase()}
            dataKey={stage}
            stackId="all"
            isAnimationActive={false}
          />
        ))}
      </BarChart>
      <ul className="keys">
        {byStage.map(({ stage, cents, number }) => (
          <li key={stage} className={`key ${stage.toLowerCase()}`}>
            {stage} <b>{money(cents)}</b> <small>{count(number, 'deal')}</small>
          </li>
        ))}
      </ul>
      <table>
        <thead>
          <tr>
            <th scope="col">Customer</th>
            <th scope="col" className="roomy">
              Stage
            </th>
            <th scope="col" className="roomy">
              Closes
            </th>
            <th scope="col" className="number">
              Chance
            </th>
            <th scope="col" className="number">
              Value
            </th>
          </tr>
        </thead>
        <tbody>
          {deals.map(({ id, customer, stage, cents, probability, closes_on, owner }) => (
            <tr key={id}>
              <th scope="row">
                {customer}
                <small className="roomy">{owner}</small>
                <small className="narrow">
                  {stage}, closes {shortDay(closes_on)}
                </small>
              </th>
              <td className="roomy">
                <span className={`key ${stage.toLowerCase()}`}>{stage}</span>
              </td>
              <td className="roomy">{longDay(closes_on)}</td>
              <td className="number">{probability}%</td>
              <td className="number">{money(cents)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
