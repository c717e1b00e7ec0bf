import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { deriveSecret, generateSecret, kidOf, NOTE, parseSecrets } from '../src/tokens/secrets.ts'
import { type CliOptions, emptyFolder, startCli } from './helpers/process.ts'

const EXIT_CONFIG = 78

const kidsOf = (text: string) => parseSecrets(text).map(kidOf)

async function run(t: Test, args: readonly string[], options?: CliOptions) {
  const cli = startCli(t, ['secret', ...args], options)
  const { code } = await cli.ended()
  return { code, stdout: cli.stdout(), stderr: cli.stderr() }
}

/** A file with secrets in an empty folder, and what rotates it. */
function secretFile(t: Test, content = `${generateSecret()}\n`) {
  const folder = emptyFolder(t)
  writeFileSync(join(folder, 'secret'), content, { mode: 0o600 })
  return {
    folder,
    read: () => readFileSync(join(folder, 'secret'), 'utf8'),
    rotate: (step: string, args: readonly string[] = [], env: Record<string, string> = {}) =>
      run(t, ['rotate', '--file', 'secret', '--step', step, ...args], { folder, env }),
  }
}

/** The time at which the next step is safe, as it was printed, in milliseconds since 1970. */
function safeAt(stdout: string, step: string): number {
  const [, time = ''] = new RegExp(`^then: --step ${step}, safe at (\\S+Z)$`, 'm').exec(stdout) ?? []
  return Date.parse(time)
}

t.test(
  'rotate takes the three steps, and says which kids are in force and when the next is safe',
  async (t) => {
    const { folder, read, rotate } = secretFile(t)
    const [older] = kidsOf(read())
    // Wait no longer than it takes to start a process.
    const brief = ['--propagation', '1s']

    const asked = Date.now()
    const added = await rotate('next', brief)
    const [, newer] = kidsOf(read())
    t.match(added, { code: 0, stderr: '' })
    t.match(added.stdout, new RegExp(`^signs: ${older}\nverify too: ${newer}\nthen: [^\n]+\n$`))
    const promoteAt = safeAt(added.stdout, 'promote')
    t.ok(promoteAt >= asked + 1_000 && promoteAt <= Date.now() + 1_000)
    t.equal(statSync(join(folder, 'secret')).mode & 0o777, 0o600)

    const early = await rotate('promote')
    t.match(early, { code: 1, stdout: '' }, 'a minute, unless it is said')
    t.match(early.stderr, /^latchkey: secret: too early to promote: (60|5\d) s left, safe at \S+Z\n$/)

    const untilThen = async () => {
      for (;;) {
        const result = await rotate('promote', brief)
        if (result.code === 0) return result
        t.match(result.stderr, /too early to promote: 1 s left/)
      }
    }
    const promoted = await untilThen()
    t.ok(Date.now() >= promoteAt)
    t.match(promoted.stdout, new RegExp(`^signs: ${newer}\nverify too: ${older}\nthen: [^\n]+\n$`))
    t.strictSame(kidsOf(read()), [newer, older])
    const wait = safeAt(promoted.stdout, 'retire') - Date.now()
    t.ok(wait > 600_000 && wait <= 611_000, 'ten minutes, a second, and twice the leeway of clocks')

    const retired = await rotate('retire')
    t.match(retired.stderr, /^latchkey: secret: too early to retire: 6[67]\d s left, safe at \S+Z\n$/)
    t.match(await rotate('next'), { code: 1, stderr: /the step to do is retire\n$/ })
    t.strictSame(kidsOf(read()), [newer, older])
  },
)

t.test('how long tokens live comes from the configuration', async (t) => {
  const { read, rotate } = secretFile(t)
  const brief = ['--propagation', '1s']
  await rotate('next')
  const { stdout } = await rotate('promote', [...brief, '--now'], { ACCESS_TOKEN_TTL: '20s' })
  const wait = safeAt(stdout, 'retire') - Date.now()
  t.ok(wait > 20_000 && wait <= 31_000)
  t.match(await rotate('retire', brief, { ACCESS_TOKEN_TTL: 'soon' }), {
    code: EXIT_CONFIG,
    stderr: /^latchkey: ACCESS_TOKEN_TTL must be/,
  })
  t.match((await rotate('retire', brief, { ACCESS_TOKEN_TTL: '20s' })).stderr, /: (3[01]|2\d) s left/)
  t.match(await rotate('retire', ['--now']), { code: 0, stdout: /^signs: [\w-]{16}\n$/ })
  t.equal(kidsOf(read()).length, 1)
  t.match(read(), new RegExp(`^${NOTE}dropped-at-once `))
})

t.test('what can not be rotated is one line, the file stays, and nothing of it is told', async (t) => {
  const { folder, read, rotate } = secretFile(t, 'canary')
  t.match(await rotate('next'), {
    code: 1,
    stdout: '',
    stderr: 'latchkey: secret: needs at least 32 bytes in each secret\n',
  })
  t.equal(read(), 'canary')

  mkdirSync(join(folder, 'folder'))
  symlinkSync('loop', join(folder, 'loop'))
  const rotateFile = (file: string, ...args: string[]) =>
    run(t, ['rotate', '--file', file, '--step', 'next', ...args], { folder })
  const reasons: readonly (readonly [file: string, reason: string])[] = [
    ['none', "none can't be read or changed (ENOENT)"],
    ['folder', "folder can't be read or changed (EISDIR)"],
    ['loop', "loop can't be read or changed (ELOOP)"],
  ]
  const results = await Promise.all(reasons.map(([file]) => rotateFile(file)))
  t.strictSame(
    results,
    reasons.map(([, reason]) => ({ code: 1, stdout: '', stderr: `latchkey: ${reason}\n` })),
  )

  writeFileSync(join(folder, 'secret.rotating'), '')
  t.match(await rotate('next'), {
    code: 1,
    stderr: /^latchkey: \S+secret\.rotating is there: [^\n]+\n$/,
  })
  const stderr = 'latchkey: --propagation must be a duration such as 10s or 1m, at most 1d\n'
  const propagations = ['0s', '1', '-1s', '2d', 'canary']
  t.strictSame(
    await Promise.all(propagations.map((text) => rotateFile('secret', '--propagation', text))),
    propagations.map(() => ({ code: 1, stdout: '', stderr })),
  )
  t.match(await rotate('back'), {
    code: 1,
    stderr: /'back' is invalid\. Allowed choices are next, promote, retire/,
  })
  t.match(await run(t, ['rotate', '--step', 'next']), { code: 1, stderr: /required option '--file <path>'/ })
  t.match(await run(t, ['rotate', '--file', 'secret']), {
    code: 1,
    stderr: /required option '--step <step>'/,
  })
})

t.test(
  'derive prints the secrets of one audience in the order of the list, from wherever that comes',
  async (t) => {
    const list = `${generateSecret()},${generateSecret()}`
    const { folder } = secretFile(t, `${NOTE}whatever\n${list}\n`)
    const derive = (args: readonly string[], env: Record<string, string> = {}) =>
      run(t, ['derive', '--audience', ...args], { folder, env })
    const expected = parseSecrets(list).map((secret) => deriveSecret(secret, 'billing'))
    for (const result of [
      await derive(['billing', '--file', 'secret']),
      await derive(['billing'], { JWT_SECRET: list }),
      await derive(['billing'], { JWT_SECRET_FILE: 'secret', NODE_ENV: 'production' }),
      await derive(['billing', '--file', 'secret'], { JWT_SECRET: generateSecret() }),
    ]) {
      t.match(result, { code: 0, stderr: '' })
      t.strictSame(parseSecrets(result.stdout), expected)
      t.match(result.stdout, /^base64:[\w+/=]+,base64:[\w+/=]+\n$/)
    }
    const other = await derive(['billing2', '--file', 'secret'])
    t.notSame(parseSecrets(other.stdout), expected, 'another audience has others')
  },
)

t.test('derive refuses without a secret, and what is no audience', async (t) => {
  const { folder } = secretFile(t, 'canary')
  const derive = (args: readonly string[], env: Record<string, string> = {}) =>
    run(t, ['derive', ...args], { folder, env })
  const reason = 'there is no secret to derive from: set JWT_SECRET or JWT_SECRET_FILE, or say --file'
  for (const NODE_ENV of ['development', 'production']) {
    t.strictSame(await derive(['--audience', 'billing'], { NODE_ENV }), {
      code: 1,
      stdout: '',
      stderr: `latchkey: ${reason}\n`,
    })
  }
  t.match(await derive(['--audience', 'billing', '--file', 'secret']), {
    code: 1,
    stderr: 'latchkey: secret: needs at least 32 bytes in each secret\n',
  })
  t.match(await derive(['--audience', 'billing', '--file', 'none']), {
    code: 1,
    stderr: "latchkey: none can't be read or changed (ENOENT)\n",
  })
  t.match(await derive(['--audience', 'billing'], { JWT_SECRET: 'canary' }), {
    code: EXIT_CONFIG,
    stdout: '',
  })
  const audiences = ['', ' ', 'a,b', ' billing', 'billing ', 'a\tb', 'a'.repeat(257)]
  const refusal = { code: 1, stdout: '', stderr: 'latchkey: --audience must be one audience\n' }
  const refusals = await Promise.all(audiences.map((name) => derive([`--audience=${name}`])))
  t.strictSame(
    refusals,
    audiences.map(() => refusal),
  )
  t.match(await derive([]), { code: 1, stderr: /required option '--audience <name>'/ })
})

t.test('secret alone prints a secret, as ever', async (t) => {
  const { code, stdout, stderr } = await run(t, [])
  t.match({ code, stderr }, { code: 0, stderr: '' })
  t.equal(parseSecrets(stdout)[0]?.length, 32)
  t.match(await run(t, ['rotat']), { code: 1, stdout: '', stderr: /^error: / })
})

t.test('with --wait a step is done as soon as it is safe', async (t) => {
  const { read, rotate } = secretFile(t)
  const added = await rotate('next', ['--propagation', '2s'])
  const [older, newer] = kidsOf(read())
  const promoted = await rotate('promote', ['--propagation', '2s', '--wait'])
  t.match(promoted, { code: 0, stderr: '' })
  t.ok(Date.now() >= safeAt(added.stdout, 'promote'))
  t.strictSame(kidsOf(read()), [newer, older])
  t.match(await rotate('promote', ['--wait']), { code: 1 }, 'no waiting makes a wrong step right')
  t.match(await rotate('retire', ['--wait', '--now']), { code: 1, stderr: /cannot be used with/ })
})

t.test('our own audience has no secret of its own', async (t) => {
  const env = { JWT_SECRET: generateSecret() }
  const { code, stderr } = await run(t, ['derive', '--audience', 'latchkey'], { env })
  t.equal(code, 1)
  t.equal(
    stderr,
    'latchkey: --audience latchkey is JWT_AUDIENCE: its tokens are signed by the secret itself\n',
  )
})
