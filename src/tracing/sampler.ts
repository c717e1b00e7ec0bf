import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace'

type Env = Readonly<Record<string, string | undefined>>

const roots = new Map<string, (env: Env) => Sampler>([
  ['always_on', () => new AlwaysOnSampler()],
  ['always_off', () => new AlwaysOffSampler()],
  ['traceidratio', (env) => new TraceIdRatioBasedSampler(ratioOf(env))],
])

const PARENT_BASED = 'parentbased_'

/**
 * The sampler that OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG name, as OpenTelemetry specifies them: the SDK leaves
 * reading them to us. All is sampled unless they say otherwise.
 *
 * @throws Error that names the variable
 */
export function samplerOf(env: Env): Sampler {
  const name = env.OTEL_TRACES_SAMPLER || `${PARENT_BASED}always_on`
  const root = roots.get(name.replace(PARENT_BASED, ''))
  if (root === undefined) {
    const names = [...roots.keys()].flatMap((name) => [name, PARENT_BASED + name])
    throw new Error(`OTEL_TRACES_SAMPLER must be one of ${names.join(', ')}`)
  }
  return name.startsWith(PARENT_BASED) ? new ParentBasedSampler({ root: root(env) }) : root(env)
}

function ratioOf({ OTEL_TRACES_SAMPLER_ARG: text = '' }: Env): number {
  const ratio = text === '' ? 1 : Number(text)
  if (ratio >= 0 && ratio <= 1) return ratio
  throw new Error('OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1')
}
