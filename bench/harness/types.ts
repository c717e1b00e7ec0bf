/** Several measurements of one thing: a round each. */
export interface Measured {
  readonly median: number
  readonly lowest: number
  readonly highest: number
}

/** A line of a suite's table. */
export interface Row {
  /** What was measured, such as the name of a contender. */
  readonly name: string
  /** By column. What a column doesn't apply to is left out. */
  readonly values: Readonly<Record<string, Measured | number | string>>
}

/** How two lines of a suite compare: the median of the ratios of each round, so that what slows a round slows both. */
export interface Ratio {
  /** Unique in its suite and stable: floor.json names it. */
  readonly name: string
  readonly value: Measured
  /** What the project wants it to be at least, or at most. */
  readonly goal?: { readonly atLeast: number } | { readonly atMost: number }
}

/** What a suite found. */
export interface SuiteResult {
  readonly suite: string
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly Row[]
  readonly ratios: readonly Ratio[]
  /** What could not be measured here and why; how to read it. */
  readonly notes: readonly string[]
  /** SVG documents, by the file in bench/ that they are kept in. */
  readonly drawings?: Readonly<Record<string, string>>
}

/** How a run is done. */
export interface RunOptions {
  /** Rounds that count; at least five in a run that is kept. One more comes first and doesn't. */
  readonly rounds: number
  /** Seconds of load in a round. */
  readonly seconds: number
  /** Accounts, tokens and revocations where a suite grows: the largest. */
  readonly largest: number
}

export type Suite = (options: RunOptions) => Promise<SuiteResult>
