import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { accountsCommand } from '../helpers/accounts-command.ts'
import { runOther } from '../helpers/other-clients.ts'
import { patientWay } from '../helpers/patient.ts'
import { emptyFolder, startServer } from '../helpers/process.ts'

interface Report {
  readonly requests: readonly {
    readonly title: string
    readonly testResults?: readonly { readonly message: string; readonly status: string }[]
  }[]
}

function textOf(name: string): string {
  return readFileSync(fileURLToPath(new URL(`../../examples/http/${name}`, import.meta.url)), 'utf8')
}

/**
 * Runs a file as it is but for the address: request after request, with httpyac.
 *
 * @returns the requests that failed, each with what its tests say; none if all passed
 */
async function failuresOf(t: Test, name: string, url: string): Promise<[title: string, tests: string[]][]> {
  const text = textOf(name)
  const folder = emptyFolder(t)
  const way = await patientWay(t, url)
  writeFileSync(join(folder, name), text.replace('@baseUrl = http://localhost:3000', `@baseUrl = ${way}`))
  const { requests }: Report = JSON.parse(await reportOf(folder, name))
  const titles = [...text.matchAll(/^### (.+)$/gm)].map(([, title]) => title)
  t.strictSame(
    requests.map(({ title }) => title),
    titles,
    'every request was sent',
  )
  return requests
    .map(({ title, testResults = [] }): [string, string[]] => [
      title,
      testResults.length === 0
        ? ['no test']
        : testResults.filter(({ status }) => status !== 'SUCCESS').map(({ message }) => message),
    ])
    .filter(([, tests]) => tests.length > 0)
}

async function reportOf(folder: string, name: string): Promise<string> {
  try {
    return await runOther('httpyac/bin/httpyac.js', ['send', name, '--all', '--json'], folder)
  } catch (error) {
    // So it ends where a request failed, too.
    const { stdout } = error as { stdout?: string }
    if (!stdout) throw error
    return stdout.slice(stdout.indexOf('{\n  "_meta"'))
  }
}

t.test('examples/http/journey.http passes, and again', async (t) => {
  const { url } = await startServer(t)
  for (let again = 0; again < 2; again++) t.strictSame(await failuresOf(t, 'journey.http', url), [])
})

t.test('examples/http/operator.http passes with the operator that it asks for', async (t) => {
  const { url, folder } = await startServer(t)
  const failures = await failuresOf(t, 'operator.http', url)
  t.ok(failures.length > 0, 'without one it does not')

  const [, command = ''] = /^# {5}npm run -s latchkey -- accounts (.+)$/m.exec(textOf('operator.http')) ?? []
  t.match(command, /^create --email \S+ --role admin$/)
  const [, password = ''] = /^# {3}echo '(.+)' \|$/m.exec(textOf('operator.http')) ?? []
  const { code } = await accountsCommand(t, { folder, password }).run(...command.split(' '))
  t.equal(code, 0, 'the operator is made')
  t.strictSame(await failuresOf(t, 'operator.http', url), [])
})
