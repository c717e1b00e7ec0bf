import type { Compilable } from 'kysely'
import type { Db, Tx } from './schema.ts'

/** Stands where a value will be. */
class Placeholder {
  readonly name: PropertyKey

  constructor(name: PropertyKey) {
    this.name = name
  }
}

/** What stands where a value of that name will be. */
export type Given<Values> = <Name extends keyof Values>(name: Name) => Values[Name]

/** Sends a query with the values that are given. @returns its rows */
export type Send<Values extends object, Row> = (to: Db | Tx, values: Values) => Promise<Row[]>

/**
 * Builds a query once, and has it sent again and again with other values: to build and compile one takes longer than to
 * answer it. For queries that are always the same, on the ways that are taken most.
 *
 * @param build builds it; `given(name)` stands where a value of that name will be
 */
export function prepare<Values extends object, Row>(
  build: (given: Given<Values>) => Compilable<Row>,
): Send<Values, Row> {
  const query = build((name) => new Placeholder(name) as never).compile()
  return async (to, values) => {
    const parameters = query.parameters.map((parameter) =>
      parameter instanceof Placeholder ? values[parameter.name as keyof Values] : parameter,
    )
    const { rows } = await to.executeQuery<Row>({ ...query, parameters })
    return rows
  }
}
