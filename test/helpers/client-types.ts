import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { argv, stdout } from 'node:process'
import { fileURLToPath } from 'node:url'
import { runOther } from './other-clients.ts'

const pathOf = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url))

/** What the first lines of src/client/api.ts say: of which openapi.yaml the types are, and that nobody changed them. */
export function header(openapiYaml: string, types: string): string {
  return [
    '// Types of openapi.yaml, by openapi-typescript: `npm run client:types` writes them anew.',
    '// biome-ignore-all format: it is generated',
    '// biome-ignore-all lint: it is generated',
    '// biome-ignore-all assist: it is generated',
    `// SHA-256 of openapi.yaml: ${sha256(openapiYaml)}`,
    `// SHA-256 of what follows: ${sha256(types)}`,
    '',
  ].join('\n')
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** The types of openapi.yaml, as src/client/api.ts has to hold them. */
export async function clientTypes(): Promise<string> {
  const openapi = pathOf('openapi.yaml')
  // In a request what has a default may be left out.
  const args = [openapi, '--default-non-nullable=false']
  const types = await runOther('openapi-typescript/bin/cli.js', args, pathOf('.'))
  return header(readFileSync(openapi, 'utf8'), types) + types
}

if (argv[1] === fileURLToPath(import.meta.url)) stdout.write(await clientTypes())
