import { DatabaseSync } from 'node:sqlite'

/** The sales of some weeks, and of as many before. Money is in cents. */
export interface Totals {
  readonly weeks: readonly { readonly week: string; readonly cents: number }[]
  readonly products: readonly { readonly product: string; readonly cents: number; readonly before: number }[]
}

export interface Deal {
  readonly id: number
  readonly customer: string
  readonly stage: 'Lead' | 'Proposal' | 'Negotiation' | 'Contract'
  readonly cents: number
  /** In percent. */
  readonly probability: number
  /** A day: 2026-12-04. */
  readonly closes_on: string
  readonly owner: string
}

/** What the organisation earns. */
export interface Revenue {
  totals(weeks: number): Totals
  deals(): readonly Deal[]
  close(): void
}

/** @param path of the file that seed.ts writes */
export function openRevenue(path: string): Revenue {
  const db = new DatabaseSync(path, { readOnly: true })
  const weekly = db.prepare(`
    select * from (select week, sum(cents) as cents from sales group by week order by week desc limit ?) order by week
  `)
  const byProduct = db.prepare(`
    with numbered as (select *, dense_rank() over (order by week desc) as ago from sales)
    select product, sum(iif(ago <= :weeks, cents, 0)) as cents, sum(iif(ago > :weeks, cents, 0)) as before
    from numbered where ago <= 2 * :weeks group by product order by cents desc
  `)
  const open = db.prepare('select * from deals order by closes_on')
  return {
    totals: (weeks) => ({
      weeks: weekly.all(weeks) as unknown as Totals['weeks'],
      products: byProduct.all({ weeks }) as unknown as Totals['products'],
    }),
    deals: () => open.all() as unknown as Deal[],
    close: () => db.close(),
  }
}
