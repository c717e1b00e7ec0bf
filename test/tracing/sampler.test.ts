import t from 'tap'
import { samplerOf } from '../../src/tracing/sampler.ts'
import { startCli } from '../helpers/process.ts'

const all = 'AlwaysOnSampler'
const none = 'AlwaysOffSampler'
const parentBased = (root: string) =>
  `ParentBased{root=${root}, remoteParentSampled=${all}, remoteParentNotSampled=${none}, ` +
  `localParentSampled=${all}, localParentNotSampled=${none}}`

t.test('the samplers are those that OpenTelemetry names', async (t) => {
  const named = {
    always_on: all,
    always_off: none,
    traceidratio: 'TraceIdRatioBased{1}',
    parentbased_always_on: parentBased(all),
    parentbased_always_off: parentBased(none),
    parentbased_traceidratio: parentBased('TraceIdRatioBased{1}'),
  }
  for (const [name, sampler] of Object.entries(named)) {
    t.equal(String(samplerOf({ OTEL_TRACES_SAMPLER: name })), sampler, name)
  }
  t.equal(String(samplerOf({})), parentBased(all))
  t.equal(String(samplerOf({ OTEL_TRACES_SAMPLER: '', OTEL_TRACES_SAMPLER_ARG: '' })), parentBased(all))
})

t.test('a ratio is a number from 0 to 1', async (t) => {
  const ratio = (OTEL_TRACES_SAMPLER_ARG: string) =>
    String(samplerOf({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG }))
  for (const text of ['0', '0.01', '1']) t.equal(ratio(text), `TraceIdRatioBased{${text}}`)
  for (const text of ['-1', '1.1', 'half', 'NaN', '1%', 'Infinity']) {
    t.throws(() => ratio(text), { message: 'OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1' }, text)
  }
})

t.test('a sampler that nobody knows stops the start, in one line', async (t) => {
  for (const OTEL_TRACES_SAMPLER of [
    'canary',
    'parentbased_',
    'toString',
    'parentbased_parentbased_always_on',
  ]) {
    const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://127.0.0.1:4318'
    const cli = startCli(t, ['serve'], { env: { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER } })
    t.match(await cli.ended(), { code: 1 })
    t.equal(
      cli.stderr(),
      'latchkey: OTEL_TRACES_SAMPLER must be one of always_on, parentbased_always_on, ' +
        'always_off, parentbased_always_off, traceidratio, parentbased_traceidratio\n',
    )
  }
})
