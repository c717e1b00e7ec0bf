import { PassThrough } from 'node:stream'
import t, { type Test } from 'tap'
import { PromptFault, readPassword } from '../../src/passwords/prompt.ts'
import { poll } from '../helpers/poll.ts'

const CTRL_C = '\u0003'
const CTRL_D = '\u0004'
const BACKSPACE = '\u007f'

interface Terminal {
  readonly input: PassThrough & { isTTY: boolean }
  readonly output: PassThrough
  /** What stands on the screen. */
  screen(): string
  /** Types once the question is there. */
  answer(question: string, keys: string): Promise<void>
}

function openTerminal(t: Test): Terminal {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  const output = new PassThrough({ encoding: 'utf8' })
  let screen = ''
  output.on('data', (text) => {
    screen += text
  })
  t.teardown(() => [input, output].forEach((stream) => void stream.destroy()))
  return {
    input,
    output,
    screen: () => screen,
    async answer(question, keys) {
      await poll(question, () => screen.endsWith(question))
      input.write(keys)
    },
  }
}

t.test('at a terminal a password is asked for twice and never shown', async (t) => {
  const { input, output, screen, answer } = openTerminal(t)
  const password = readPassword(input, output)
  await answer('Password: ', 'a long walk by the river\r')
  await answer('Once more: ', 'a long walk by the river\r')
  t.equal(await password, 'a long walk by the river')
  t.equal(screen(), 'Password: \nOnce more: \n')
})

t.test('a slip of the finger can be taken back', async (t) => {
  const { input, output, answer } = openTerminal(t)
  const password = readPassword(input, output)
  await answer('Password: ', `a long wall${BACKSPACE}k\r`)
  await answer('Once more: ', 'a long walk\r')
  t.equal(await password, 'a long walk')
})

t.test('two passwords that differ are none', async (t) => {
  const { input, output, answer } = openTerminal(t)
  const refused = t.rejects(readPassword(input, output), new PromptFault('the two passwords differ'))
  await answer('Password: ', 'a long walk by the river\r')
  await answer('Once more: ', 'a long walk by the shore\r')
  await refused
})

for (const [name, key] of Object.entries({ 'Ctrl-C': CTRL_C, 'Ctrl-D': CTRL_D })) {
  t.test(`${name} at either question gives up`, async (t) => {
    const first = openTerminal(t)
    const refused = t.rejects(
      readPassword(first.input, first.output),
      new PromptFault('no password was given'),
    )
    await first.answer('Password: ', key)
    await refused
    t.equal(first.screen(), 'Password: \n')

    const second = openTerminal(t)
    const refusedLater = t.rejects(
      readPassword(second.input, second.output),
      new PromptFault('no password was given'),
    )
    await second.answer('Password: ', 'a long walk by the river\r')
    await second.answer('Once more: ', `half a wal${key === CTRL_D ? BACKSPACE.repeat(10) : ''}${key}`)
    await refusedLater
  })
}

t.test('from a pipe a password is all there is, but for the end of the line', async (t) => {
  for (const [sent, password] of [
    ['a long walk\n', 'a long walk'],
    ['a long walk\r\n', 'a long walk'],
    ['a long walk', 'a long walk'],
    [' a long walk \n\n', ' a long walk \n'],
    ['', ''],
  ] as const) {
    const input = new PassThrough()
    const output = new PassThrough()
    input.end(sent)
    t.equal(await readPassword(input, output), password, JSON.stringify(sent))
    t.equal(output.read(), null, 'and nothing is asked')
  }
})
