// What the pods of deploy/kubernetes rely on.
import { spawn } from 'node:child_process'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { generateSecret, kidOf, parseSecrets } from '../../src/tokens/secrets.ts'
import { logIn, request, signUp } from '../helpers/client.ts'
import { mountSecret, readManifests } from '../helpers/kubernetes.ts'
import { emptyDatabase } from '../helpers/nodes.ts'
import { poll } from '../helpers/poll.ts'
import { emptyFolder, startCli, startServer } from '../helpers/process.ts'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const EMAIL = 'ada@example.com'

const kidsOf = (text: string) => parseSecrets(text).map(kidOf)

t.test('a secret that the kubelet swaps is rotated while the service runs', async (t) => {
  const volume = mountSecret(t, { secret: generateSecret() })
  const env = { JWT_SECRET_FILE: join(volume.path, 'secret'), NODE_ENV: 'production' }
  const server = await startServer(t, { env })
  const older = await signUp(server.url, EMAIL)

  // The operator's own copy: deploy/kubernetes/README.md, "Rotate the secret".
  const folder = emptyFolder(t)
  const file = join(folder, 'jwt-secret')
  copyFileSync(join(volume.path, 'secret'), file)
  async function step(...args: readonly string[]): Promise<string[]> {
    const cli = startCli(t, ['secret', 'rotate', '--file', file, '--step', ...args], { folder })
    t.match(await cli.ended(), { code: 0 }, cli.stderr())
    const text = readFileSync(file, 'utf8')
    volume.update({ secret: text })
    const kids = kidsOf(text)
    await poll(`${kids} in /readyz`, async () => {
      const { json } = await request(server.url, '/readyz')
      return String(Object(json.keys).verifying) === String(kids)
    })
    return kids
  }

  const [first] = kidsOf(readFileSync(file, 'utf8'))
  t.match(await step('next', '--propagation', '1s'), [first, String])
  const [second] = await step('promote', '--propagation', '1s', '--wait')
  t.not(second, first)
  t.match(await request(server.url, '/me', { token: older }), { status: 200 })
  const newer = await logIn(server.url, EMAIL)
  t.strictSame(await step('retire', '--now'), [second])
  t.match(await request(server.url, '/me', { token: newer }), { status: 200 })
  t.match(await request(server.url, '/me', { token: older }), {
    status: 401,
    json: { code: 'token_invalid' },
  })
})

t.test('nothing is written but to the database: the root file system may be read-only', async (t) => {
  const volume = mountSecret(t, { secret: generateSecret(), url: await emptyDatabase(t, 'postgres') })
  const env = {
    NODE_ENV: 'production',
    PORT: '0',
    METRICS_PORT: '0',
    JWT_SECRET_FILE: join(volume.path, 'secret'),
    DATABASE_URL_FILE: join(volume.path, 'url'),
    DATABASE_URL: '',
  }
  // Node.js itself refuses every write. env -i keeps tap out, which would want to.
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const node = [process.execPath, '--permission', '--allow-fs-read=*', '--allow-addons']
  const child = spawn('env', ['-i', ...variables, ...node, CLI, 'serve'], { cwd: emptyFolder(t) })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))

  const url = await poll('the service to listen', () => {
    if (child.exitCode !== null) throw new Error(`the service ended: ${output}`)
    return /Server listening at (http:[^"]+)/.exec(output)?.[1]
  })
  const token = await signUp(url, EMAIL)
  await logIn(url, EMAIL)
  t.match(await request(url, '/me', { token }), { status: 200 })
  volume.update({ secret: `${readFileSync(env.JWT_SECRET_FILE)},${generateSecret()}` })
  await poll('two secrets', () => output.includes('secrets_reloaded'))
  child.kill('SIGTERM')
  t.equal(await poll('its end', () => child.exitCode ?? undefined), 0)
  t.notMatch(output, /ERR_ACCESS_DENIED/)
})

t.test('what stands in secret.example.yaml is refused at the start', async (t) => {
  const text = readFileSync(new URL('../../deploy/kubernetes/secret.example.yaml', import.meta.url), 'utf8')
  const [jwt, database] = readManifests(text).map(({ stringData }) => stringData)
  const volume = mountSecret(t, { ...jwt, ...database })
  const env = {
    NODE_ENV: 'production',
    JWT_SECRET_FILE: join(volume.path, 'secret'),
    DATABASE_URL_FILE: join(volume.path, 'url'),
  }
  const cli = startCli(t, ['serve'], { env })
  t.match(await cli.ended(), { code: 78 })
  t.match(cli.stderr(), /^latchkey: JWT_SECRET is a published example: make one with `latchkey secret`$/m)
  t.match(cli.stderr(), /^latchkey: DATABASE_URL must be /m)
})
