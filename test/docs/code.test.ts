import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { builtPackage, tsc } from '../helpers/built-package.ts'
import { blocksOf, pages } from '../helpers/pages.ts'

// What stands around code that isn't whole, and packages that aren't here, by their own declarations.
const ambient = {
  'README.md': `
    declare const email: string
    declare const password: string
    declare function showLogin(reason: import('latchkey/client').SignedOutReason): void`,
  'docs/spa.md': `
    declare module 'react' {
      export function useSyncExternalStore<S>(subscribe: (changed: () => void) => () => void, get: () => S): S
    }`,
  // react-native-keychain 10, react-native 0.80
  'docs/mobile.md': `
    declare module 'react-native-keychain' {
      export enum ACCESSIBLE {
        AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY = 'AccessibleAfterFirstUnlockThisDeviceOnly',
      }
      interface Options { service?: string; accessible?: ACCESSIBLE }
      interface Result { service: string; storage: string }
      export function getGenericPassword(options?: Options): Promise<false | (Result & { username: string; password: string })>
      export function setGenericPassword(username: string, password: string, options?: Options): Promise<false | Result>
      export function resetGenericPassword(options?: Options): Promise<boolean>
    }
    declare module 'react-native' {
      type AppStateStatus = 'active' | 'background' | 'inactive' | 'unknown' | 'extension'
      export const AppState: {
        addEventListener(type: 'change', listener: (state: AppStateStatus) => void): { remove(): void }
      }
    }`,
}

const options =
  '--ignoreConfig --noEmit --module nodenext --target es2022 --lib es2024,dom,dom.iterable --skipLibCheck'

t.test('the code of every page compiles: TypeScript strictly, JavaScript as it is', async (t) => {
  const root = await builtPackage(t)
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }')
  const typescript: string[] = []
  const javascript: string[] = []
  for (const page of pages) {
    const folder = join(root, page.replaceAll('/', '-'))
    mkdirSync(folder)
    const around = ambient[page as keyof typeof ambient]
    if (around !== undefined) {
      writeFileSync(join(folder, 'ambient.d.ts'), around)
      typescript.push(join(folder, 'ambient.d.ts'))
    }
    for (const [index, { kind, text }] of blocksOf(page).entries()) {
      if (!['ts', 'tsx', 'js'].includes(kind)) continue
      const file = join(folder, /^\/\/ (\S+\.\w+)\n/.exec(text)?.[1] ?? `block-${index}.${kind}`)
      writeFileSync(file, text)
      const files = kind === 'js' ? javascript : typescript
      files.push(file)
    }
  }
  t.ok(typescript.length >= 10 && javascript.length >= 6)
  const compiles = (...args: readonly string[]) =>
    tsc(...options.split(' '), '--types', 'node', ...args).catch(({ stdout, message }) =>
      Promise.reject(new Error(stdout || message)),
    )
  await t.resolves(compiles('--strict', ...typescript))
  await t.resolves(compiles('--allowJs', '--checkJs', '--strict', 'false', ...javascript))
})
