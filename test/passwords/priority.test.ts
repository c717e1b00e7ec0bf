import { readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { getPriority } from 'node:os'
import t from 'tap'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { giveWay } from '../../src/passwords/priority.ts'
import { startServer } from '../helpers/process.ts'
import { CHEAP_ARGON2, PASSWORD } from '../helpers/service.ts'

const onLinux = process.platform === 'linux'

/** The priorities of a process's threads, by their names; a lower priority is a higher number. */
function priorities(pid: number | 'self'): Map<string, number[]> {
  const threads = readdirSync(`/proc/${pid}/task`).map((id) => ({
    name: readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim(),
    priority: getPriority(Number(id)),
  }))
  return new Map(
    [...Map.groupBy(threads, ({ name }) => name)].map(([name, those]) => [
      name,
      those.map(({ priority }) => priority),
    ]),
  )
}

t.test('in a service the threads that hash give way to the event loop', { skip: !onLinux }, async (t) => {
  const { child } = await startServer(t)
  const own = getPriority(child.pid)
  const { 'libuv-worker': workers = [], ...others } = Object.fromEntries(priorities(child.pid as number))
  t.strictSame(workers, [own + 10, own + 10, own + 10, own + 10])
  t.strictSame(new Set(Object.values(others).flat()), new Set([own]), 'and no other thread does')
})

t.test('they still do everything that they did', async (t) => {
  const passwords = await createPasswords(CHEAP_ARGON2)
  t.equal(giveWay(), onLinux ? 4 : 0)
  t.equal(await passwords.verify(await passwords.hash(PASSWORD), PASSWORD), true)
  t.match(await readFile(new URL(import.meta.url), 'utf8'), /giveWay/)
})

t.test('none gives way more than there is to give', { skip: !onLinux }, async (t) => {
  for (let again = 0; again < 3; again++) giveWay()
  t.strictSame(new Set(priorities('self').get('libuv-worker')), new Set([19]))
})

t.test('where no threads are listed nothing happens', async (t) => {
  t.equal(giveWay(`${t.testdir()}/task`), 0)
})
