import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)

// Prints how many times as long a tick takes after the garbage collections of an idle while as it did before them.
const script = `
import { setImmediate } from 'node:timers/promises'
import { keepTicksFast } from ${JSON.stringify(new URL('../src/ticks.ts', import.meta.url))}
if (process.argv[1] === 'kept') keepTicksFast()
const ticks = (left) => new Promise((resolve) => {
  const tick = () => (left-- > 0 ? process.nextTick(tick, left) : resolve())
  tick()
})
async function quickest() {
  let best = Infinity
  for (let round = 0; round < 10; round++) {
    const begun = performance.now()
    await ticks(50_000)
    best = Math.min(best, performance.now() - begun)
  }
  return best
}
const before = await quickest()
for (let collection = 0; collection < 5; collection++) {
  await setImmediate()
  gc()
}
console.log(await quickest() / before)
`

async function slowdown(how: string): Promise<number> {
  const args = ['--expose-gc', '--input-type=module', '--eval', script, how]
  const { stdout } = await run(process.execPath, args, { env: {} })
  return Number(stdout)
}

t.test('a tick costs after an idle while what it did before', async (t) => {
  t.ok((await slowdown('kept')) < 2)
  t.ok((await slowdown('not kept')) > 2, 'without it, it costs much more: else src/ticks.ts can go')
})
