import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import t from 'tap'
import { blocksOf, clone, run, testPage, writeFiles } from '../helpers/pages.ts'

const PAGE = 'docs/spa.md'

testPage(t, PAGE, {
  async 'Install it'(t, blocks) {
    const folder = clone(t)
    const app = join(folder, '..', 'my-app')
    mkdirSync(app)
    await run(t, blocks, { folder })

    // As a bundler takes it, with all that the page says.
    writeFiles(app, blocksOf(PAGE))
    const { outputFiles } = await build({
      absWorkingDir: app,
      entryPoints: ['start.ts', 'log-in.ts', 'calls.ts', 'orders.ts', 'use-signed-in.ts'],
      external: ['react'],
      outdir: 'dist',
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'browser',
    })
    t.equal(outputFiles.length, 5)
    for (const { text } of outputFiles) t.match(text, 'latchkey-transport')
  },
})
