import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import t from 'tap'
import { parseConfig, variableNames } from '../src/config.ts'
import { generateSecret } from '../src/tokens/secrets.ts'

const text = readFileSync(new URL('../.env.example', import.meta.url), 'utf8')
const uncommented = parseEnv(text.replace(/^#(?=[A-Z])/gm, ''))

t.test('every variable stands in .env.example, and none that is unknown', async (t) => {
  t.strictSame(Object.keys(uncommented).sort(), variableNames.toSorted())
})

t.test('each is commented out: a copy of it changes nothing', async (t) => {
  t.strictSame(parseEnv(text), {})
})

t.test('each is explained', async (t) => {
  for (const paragraph of text.trim().split('\n\n')) t.match(paragraph, /^# \S/, paragraph)
})

t.test('what it says is what holds without it', async (t) => {
  const JWT_SECRET = generateSecret()
  t.equal(uncommented.JWT_SECRET, '', 'but for the secret: no example of it can be taken over')
  t.strictSame(comparable({ ...uncommented, JWT_SECRET }), comparable({ JWT_SECRET }))
  const withoutDefault = ['JWT_SECRET', 'OTEL_EXPORTER_OTLP_ENDPOINT']
  for (const name of variableNames.filter((name) => !withoutDefault.includes(name)))
    t.ok(uncommented[name], name)
})

function comparable(env: Record<string, string>) {
  const { roles, ...rest } = parseConfig(env)
  return { ...rest, roles: roles.names.map((name) => [name, roles.scopesOf([name])]) }
}
