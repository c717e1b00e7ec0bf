import fc from 'fast-check'
import t from 'tap'
import { formatDuration, parseDuration } from '../src/duration.ts'

t.test('what is printed reads back as the same duration', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 86_400 * 365 }),
      (seconds) => parseDuration(formatDuration(seconds)) === seconds,
    ),
  )
  t.equal(formatDuration(90), '90s')
  t.equal(formatDuration(600), '10m')
  t.equal(formatDuration(86_400 * 7), '7d')
})

t.test('anything but a whole number and a unit is no duration', async (t) => {
  for (const text of [
    '',
    '10',
    'm',
    '0s',
    '-1m',
    '1.5h',
    '10 m',
    '10ms',
    '1e3s',
    '07d',
    '1w',
    '9999999999d',
    ' 1s',
  ]) {
    t.equal(parseDuration(text), undefined, JSON.stringify(text))
  }
})
