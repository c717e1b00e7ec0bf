import Fastify from 'fastify'
import { latchkey } from '../../../src/verifiers/fastify.ts'
import { verify } from './verify.ts'

const app = Fastify()
await app.register(latchkey, { verifier: verify })
app.get('/', { onRequest: app.latchkey.guard({ role: 'user' }) }, ({ user }) => user)
console.log(`listening at ${await app.listen({ port: 0, host: '127.0.0.1' })}`)
