import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LoadCount, LoadPlan } from './load.ts'
import { start } from './process.ts'

/** Loads by autocannon, in a process of its own. */
export async function loadByAutocannon(plan: LoadPlan): Promise<LoadCount> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  try {
    const file = join(folder, 'plan.json')
    const { core, seconds } = plan
    await writeFile(
      file,
      JSON.stringify({ ...plan, sequence: Array.from(plan.sequence), allow: [...plan.allow] }),
    )
    const script = fileURLToPath(new URL('./autocannon.ts', import.meta.url))
    const cannon = start(process.execPath, { args: [script, file], core })
    const line = await cannon.line((each) => each.startsWith('{"requests":'), seconds * 1_000)
    await cannon.ended
    return JSON.parse(line)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
