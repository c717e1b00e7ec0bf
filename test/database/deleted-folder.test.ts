import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)

// In a process of its own: a folder that is deleted under it stays so.
const inDeletedFolder = (work: string) => `
  import { mkdtempSync, rmdirSync } from 'node:fs'
  import { tmpdir } from 'node:os'
  import { openDatabase } from '${new URL('../../src/database/open.ts', import.meta.url)}'
  import { keepOwnSecret } from '${new URL('../../src/tokens/own-secret.ts', import.meta.url)}'
  const folder = mkdtempSync(tmpdir() + '/latchkey-test-')
  process.chdir(folder)
  rmdirSync(folder)
  try { ${work} } catch (error) { console.log((error.cause ?? error).code) }
`

const works = {
  'opening a database':
    "await openDatabase({ url: 'file:./data/latchkey.db', poolSize: 1, onIdleError() {} })",
  'keeping a secret': "keepOwnSecret('data/jwt-secret')",
}

for (const [name, work] of Object.entries(works)) {
  t.test(`${name} fails in a folder that was deleted, and doesn't hang`, async (t) => {
    const args = ['--input-type=module', '--eval', inDeletedFolder(work)]
    const { stdout } = await run(process.execPath, args, { timeout: 20_000 })
    t.equal(stdout, 'ENOENT\n')
  })
}
