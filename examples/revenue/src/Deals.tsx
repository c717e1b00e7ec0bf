import { Bar, BarChart, LabelList, XAxis, YAxis } from 'recharts'
import type { Deal } from '../server/revenue.ts'
import { count, longDay, money, roundMoney } from './words.ts'

const stages = ['Lead', 'Proposal', 'Negotiation', 'Contract'] as const

/** What analysts see besides: each deal, and how much there is at each stage. */
export function Deals({ deals }: { readonly deals: readonly Deal[] }) {
  const total = deals.reduce((sum, { cents }) => sum + cents, 0)
  const expected = deals.reduce((sum, { cents, probability }) => sum + (cents * probability) / 100, 0)
  const byStage = stages.map((stage) => {
    const there = deals.filter((deal) => deal.stage === stage)
    return { stage, cents: there.reduce((sum, { cents }) => sum + cents, 0), number: there.length }
  })
  const inWords = byStage.map(
    ({ stage, cents, number }) => `${stage}: ${money(cents)} in ${count(number, 'deal')}`,
  )
  return (
    <section className="card deals" aria-labelledby="deals">
      <h2 id="deals">Deals in progress</h2>
      <p className="figure">
        {money(total)} <small>of which {money(expected)} is to be expected, by the chances</small>
      </p>
      <BarChart
        responsive
        className="stages"
        layout="vertical"
        data={byStage}
        margin={{ top: 0, right: 64, bottom: 0, left: 0 }}
        barCategoryGap="28%"
        title={`Deals by stage. ${inWords.join('; ')}.`}
      >
        <XAxis type="number" hide />
        <YAxis type="category" dataKey="stage" width="auto" axisLine={false} tickLine={false} />
        <Bar dataKey="cents" radius={3} isAnimationActive={false}>
          <LabelList dataKey="cents" position="right" formatter={(cents) => roundMoney(Number(cents))} />
        </Bar>
      </BarChart>
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
                  {stage}, closes {longDay(closes_on)}
                </small>
              </th>
              <td className="roomy">
                <span className={`stage ${stage.toLowerCase()}`}>{stage}</span>
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
