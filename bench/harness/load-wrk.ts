import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LoadCount, LoadPlan, LoadRequest } from './load.ts'
import { start } from './process.ts'

// What one request may take: a password hash, behind 31 others.
const TIMEOUT = '30s'

/** Loads by wrk, in one thread. */
export async function loadByWrk(plan: LoadPlan): Promise<LoadCount> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  try {
    const script = join(folder, 'load.lua')
    await writeFile(script, await scriptOf(plan, folder))
    const { url, connections, seconds, core } = plan
    const flags = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', TIMEOUT]
    const wrk = start('wrk', { args: [...flags, '-s', script, url], core, cwd: folder })
    // It is ready with this line once it has done its work.
    const line = await wrk.line((each) => each.startsWith(REPORT), seconds * 1_000)
    await wrk.ended
    return JSON.parse(line.slice(REPORT.length))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const REPORT = 'latchkey-bench '

async function scriptOf(plan: LoadPlan, folder: string): Promise<string> {
  const { url, requests, sequence, start: first, allow } = plan
  const parts = [DONE]
  if (allow.size > 0) parts.push(answers(allow))
  if (sequence.length === 1) {
    parts.push(oneRequest(requests[sequence[0] as number] as LoadRequest))
  } else {
    // Every request is written out before: what is left to Lua is to name the next.
    const { host } = new URL(url)
    const texts = requests.map((request) => Buffer.from(textOf(request, host)))
    await writeFile(join(folder, 'requests'), Buffer.concat(texts))
    await writeFile(join(folder, 'lengths'), texts.map(({ length }) => length).join('\n'))
    await writeFile(join(folder, 'sequence'), Array.from(sequence, (n) => n + 1).join('\n'))
    parts.push(manyRequests(first))
  }
  return parts.join('\n')
}

// wrk sends it as it stands, without asking Lua each time.
function oneRequest({ method = 'GET', path, headers = {}, body }: LoadRequest): string {
  const lines = Object.entries(headers).map(
    ([name, value]) => `wrk.headers[${quote(name)}] = ${quote(value)}`,
  )
  lines.push(`wrk.method = ${quote(method)}`, `wrk.path = ${quote(path)}`)
  if (body !== undefined) lines.push(`wrk.body = ${quote(body)}`)
  return lines.join('\n')
}

function manyRequests(first: number): string {
  return `
local requests, sequence, at = {}, {}, ${first}
function init()
  local texts = assert(io.open('requests', 'rb'))
  for length in io.lines('lengths') do
    requests[#requests + 1] = texts:read(tonumber(length))
  end
  texts:close()
  for n in io.lines('sequence') do
    sequence[#sequence + 1] = tonumber(n)
  end
end
function request()
  at = at + 1
  if at > #sequence then at = 1 end
  return requests[sequence[at]]
end`
}

// wrk counts statuses from 400 on by itself; what is allowed has to be looked at. Its threads have globals of their own.
const DONE = `
refused, failed = 0, 0
local thread
function setup(the_thread) thread = the_thread end
function done(summary, latency)
  local errors = summary.errors
  local refused = thread:get('refused')
  local failed = thread:get('counts') and thread:get('failed') or errors.status
  print(string.format(
    'latchkey-bench {"requests":%d,"seconds":%.6f,"refused":%d,"failed":%d,"errors":%d,"p50":%.3f,"p99":%.3f}',
    summary.requests, summary.duration / 1e6, refused, failed,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end`

function answers(allow: ReadonlySet<number>): string {
  const allowed = [...allow].map((status) => `[${status}] = true`).join(', ')
  return `
counts = true
local allowed = { ${allowed} }
function response(status)
  if status < 200 or status > 299 then
    if allowed[status] then refused = refused + 1 else failed = failed + 1 end
  end
end`
}

/** A request as it goes over the wire (RFC 9112). */
function textOf({ method = 'GET', path, headers = {}, body }: LoadRequest, host: string): string {
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`]
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  if (body !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(body)}`)
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`
}

// A string of Lua's: bytes that are no plain ASCII are written by their number.
function quote(text: string): string {
  const bytes = Array.from(Buffer.from(text), (byte) => {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
    return plain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`
  })
  return `"${bytes.join('')}"`
}
