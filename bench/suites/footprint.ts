/** What it takes to have it: from the start until it is ready, memory at rest, what has to be installed. */

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { startContender } from '../harness/contender.ts'
import { SERVER_CORE } from '../harness/cores.ts'
import { productionEnv, productionFlags, ROOT } from '../harness/latchkey.ts'
import { freePort, rssMib, start, withCleanup } from '../harness/process.ts'
import { progress } from '../harness/rounds.ts'
import { measured, shuffled } from '../harness/stats.ts'
import type { Measured, Row, Suite } from '../harness/types.ts'
import { bytesIn, dependenciesOf, type Installed, installedByNpm, installedHere } from './shared/packages.ts'

const LATCHKEY = 'Latchkey, npm start'
const IMAGE = "Latchkey, the image's command"

/** More starts than rounds, since they are short: seven for five. */
const MORE_STARTS = 2
const MOST_RESTS = 3

/** Milliseconds after which a process that has nothing to do is looked at. */
const REST = 3_000

const MIB = 1_024 * 1_024

const SECRET = `base64:${randomBytes(32).toString('base64')}`

/** By contender, the packages that it imports. */
const peers = {
  'fastify-jwt': ['fastify', '@fastify/jwt'],
  'better-auth': ['fastify', 'better-auth'],
  'nestjs-jwt': [
    '@nestjs/common',
    '@nestjs/core',
    '@nestjs/jwt',
    '@nestjs/platform-fastify',
    'reflect-metadata',
    'rxjs',
  ],
  'oidc-introspection': ['fastify', 'oidc-provider', 'undici'],
} as const

interface Launched {
  readonly pid: number
  /** Milliseconds until it was ready. */
  readonly startMs: number
  stop(): Promise<void>
}

/** @param flags of Node.js, beside those that all have */
type Launch = (flags?: readonly string[]) => Promise<Launched>

export const run: Suite = (options) =>
  withCleanup(async (defer) => {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
    defer(() => rm(folder, { recursive: true, force: true }))
    const launches = launchesIn(folder)
    await fillCompileCache(launches)

    const starts = new Map([...launches.keys()].map((name) => [name, [] as number[]]))
    for (let round = 0; round < options.rounds + MORE_STARTS; round++) {
      for (const [name, launch] of shuffled([...launches])) {
        progress(`start ${round + 1}: ${name}`)
        const { startMs, stop } = await launch()
        await stop()
        starts.get(name)?.push(startMs)
      }
    }
    const memory = await memoryAtRest(launches, Math.min(MOST_RESTS, options.rounds))
    progress('')
    const { latchkey, note } = await installedLatchkey()
    const image = latchkey.bytes + bytesIn(join(ROOT, 'dist'))

    const row = (name: string, values: Row['values']): Row => ({
      name,
      values: {
        'start ms': measured(starts.get(name) ?? []),
        'idle RSS MiB': memory.get(name) as Measured,
        ...values,
      },
    })
    return {
      suite: 'footprint',
      title: 'Start and footprint',
      columns: ['start ms', 'idle RSS MiB', 'installed MiB', 'packages', 'image content MiB'],
      rows: [
        row(LATCHKEY, { ...sizes(latchkey), 'image content MiB': image / MIB }),
        row(IMAGE, {}),
        ...Object.entries(peers).map(([name, packages]) =>
          row(name, sizes(installedHere(packages, join(ROOT, 'bench/contenders')))),
        ),
      ],
      ratios: [],
      notes: [
        `From the start of the process to the line by which it says that it listens, pinned to one core; Latchkey on an SQLite file that is there. All have the flags of npm start and a filled compile cache, but for the image's command, which has no cache.`,
        `Resident memory, with that of child processes, ${REST / 1_000} s after the start, before the first request.`,
        'Installed: sizes of files, each version of a package once. What the image adds to Node.js: dist and the production packages.',
        ...note,
      ],
    }
  })

function launchesIn(folder: string): Map<string, Launch> {
  const cached = { NODE_COMPILE_CACHE: join(folder, 'cache') }
  const contenders = Object.keys(peers).map((name): [string, Launch] => [
    name,
    (flags = []) =>
      startContender(name, {
        flags: [...productionFlags, ...flags],
        env: { ...productionEnv, ...cached },
      }),
  ])
  return new Map<string, Launch>([
    [LATCHKEY, (flags) => startLatchkey(folder, 'src/cli.ts', cached, flags)],
    [IMAGE, (flags) => startLatchkey(folder, 'dist/cli.js', { NODE_DISABLE_COMPILE_CACHE: '1' }, flags)],
    ...contenders,
  ])
}

async function startLatchkey(
  folder: string,
  entry: string,
  env: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Promise<Launched> {
  const port = await freePort()
  const begun = performance.now()
  const server = start(process.execPath, {
    args: [...productionFlags, ...flags, join(ROOT, entry), 'serve'],
    env: {
      ...productionEnv,
      JWT_SECRET: SECRET,
      DATABASE_URL: `file:${join(folder, 'latchkey.db')}`,
      PORT: String(port),
      ...env,
    },
    core: SERVER_CORE,
    // No .env of a developer's is read here.
    cwd: folder,
  })
  try {
    await server.line((line) => line.includes('Server listening at'))
    return { pid: server.pid, startMs: performance.now() - begun, stop: server.stop }
  } catch (error) {
    await server.stop()
    throw error
  }
}

// Node.js writes what it compiled when it exits by itself, which a process that a signal kills does not.
const EXIT_ON_SIGTERM = [
  '--import',
  'data:text/javascript,process.once("SIGTERM",()=>setImmediate(process.exit))',
]

async function fillCompileCache(launches: ReadonlyMap<string, Launch>): Promise<void> {
  for (const [name, launch] of launches) {
    const isLatchkey = name === LATCHKEY || name === IMAGE
    const { stop } = await launch(isLatchkey ? [] : EXIT_ON_SIGTERM)
    await stop()
  }
}

/** @returns by name, MiB */
async function memoryAtRest(
  launches: ReadonlyMap<string, Launch>,
  times: number,
): Promise<Map<string, Measured>> {
  const found = new Map([...launches.keys()].map((name) => [name, [] as number[]]))
  for (let time = 0; time < times; time++) {
    for (const [name, launch] of shuffled([...launches])) {
      const { pid, stop } = await launch()
      try {
        await setTimeout(REST)
        found.get(name)?.push(rssMib(pid))
      } finally {
        await stop()
      }
    }
  }
  return new Map([...found].map(([name, values]) => [name, measured(values)]))
}

async function installedLatchkey(): Promise<{ latchkey: Installed; note: string[] }> {
  try {
    return { latchkey: await installedByNpm(ROOT), note: [] }
  } catch (error) {
    const [reason] = (error as Error).message.split('\n')
    const note = `npm ci --omit=dev failed (${reason}): what is installed here was counted in its place.`
    return { latchkey: installedHere(dependenciesOf(ROOT), ROOT), note: [note] }
  }
}

function sizes({ bytes, packages }: Installed): Row['values'] {
  return { 'installed MiB': bytes / MIB, packages }
}
