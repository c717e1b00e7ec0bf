import t from 'tap'
import { backOff } from '../src/back-off.ts'

t.test('waits double from 100 ms to 5 s, and are between half of that and all', async (t) => {
  const most = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]
  for (const [failures, longest] of most.entries()) {
    const waits = Array.from({ length: 200 }, () => backOff(failures))
    t.ok(Math.min(...waits) >= longest / 2, `after ${failures}, the shortest is ${Math.min(...waits)} ms`)
    t.ok(Math.max(...waits) <= longest, `after ${failures}, the longest is ${Math.max(...waits)} ms`)
  }
})

t.test('however long it fails, a wait is never longer', async (t) => {
  for (const failures of [100, 10_000, Number.MAX_SAFE_INTEGER]) {
    const wait = backOff(failures)
    t.ok(wait >= 2_500 && wait <= 5_000, `${wait} ms`)
  }
})

t.test('many who fail together do not come back together', async (t) => {
  const waits = Array.from({ length: 1_000 }, () => backOff(5))
  const inTenth = (n: number) => waits.filter((wait) => Math.floor((wait - 1_600) / 160) === n).length
  for (let n = 0; n < 10; n++) t.ok(inTenth(n) > 40, `${inTenth(n)} of a thousand in part ${n} of ten`)
})
