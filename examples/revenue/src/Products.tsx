import type { Totals } from '../server/revenue.ts'
import { Change } from './Change.tsx'
import { money } from './words.ts'

/** Bars in a table: it is read as one, and each bar stands beside its figure. */
export function Products({ products }: Pick<Totals, 'products'>) {
  const most = Math.max(...products.map(({ cents }) => cents))
  return (
    <section className="card products" aria-labelledby="products">
      <h2 id="products">By product</h2>
      <table>
        <thead className="unseen">
          <tr>
            <th scope="col">Product</th>
            <th scope="col">Revenue</th>
            <th scope="col">Change</th>
          </tr>
        </thead>
        <tbody>
          {products.map(({ product, cents, before }) => (
            <tr key={product}>
              <th scope="row">
                {product}
                <span className="bar">
                  <span style={{ width: `${(cents / most) * 100}%` }} />
                </span>
              </th>
              <td className="number">{money(cents)}</td>
              <td className="number">
                <Change now={cents} before={before} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
