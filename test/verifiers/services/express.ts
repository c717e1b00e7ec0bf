import type { AddressInfo } from 'node:net'
import express from 'express'
import { guard } from '../../../src/verifiers/express.ts'
import { verify } from './verify.ts'

const app = express()
app.get('/', guard(verify, { role: 'user' }), (request, response) => {
  response.json(request.user)
})
const server = app.listen(0, '127.0.0.1', () => {
  console.log(`listening at http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
