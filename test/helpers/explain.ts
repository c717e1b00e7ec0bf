import { CompiledQuery, type KyselyPlugin, type RootOperationNode, sql } from 'kysely'
import type { Db } from '../../src/database/schema.ts'
import type { DatabaseName } from './service.ts'

/** The same database, which keeps every query that is sent through it. */
export function listen(db: Db): { db: Db; sent: RootOperationNode[] } {
  const sent: RootOperationNode[] = []
  // Parts of a query are transformed like queries; only what is sent has a result.
  const transformed = new WeakMap<object, RootOperationNode>()
  const plugin: KyselyPlugin = {
    transformQuery({ queryId, node }) {
      transformed.set(queryId, node)
      return node
    },
    async transformResult({ queryId, result }) {
      sent.push(transformed.get(queryId) as RootOperationNode)
      return result
    },
  }
  return { db: db.withPlugin(plugin), sent }
}

/** What the database would do for each query, even where a table is so small that reading all of it is quicker. */
export async function explain(db: Db, kind: DatabaseName, queries: readonly RootOperationNode[]) {
  return db.transaction().execute(async (tx) => {
    if (kind === 'postgres') {
      await sql`set local enable_seqscan = off`.execute(tx)
      await sql`set local enable_bitmapscan = off`.execute(tx)
    }
    const explained: { text: string; plan: string }[] = []
    for (const node of queries) {
      const query = tx.getExecutor().compileQuery(node, { queryId: 'explained' })
      // Whatever the values are.
      const word = kind === 'sqlite' ? 'explain query plan' : 'explain (generic_plan)'
      const { rows } = await tx.executeQuery(CompiledQuery.raw(`${word} ${query.sql}`))
      const plan = rows.map((row) => Object.values(row as object).join(' ')).join('\n')
      explained.push({ text: query.sql, plan })
    }
    return explained
  })
}
