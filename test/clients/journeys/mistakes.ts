// What a client made from openapi.yaml doesn't let pass.
import createClient from 'openapi-fetch'
import type { paths } from './api.ts'
import * as latchkey from './generated/index.ts'

const api = createClient<paths>({ baseUrl: 'http://localhost:3000' })

export async function mistakes(id: string) {
  const { data, error } = await api.GET('/account')
  // @ts-expect-error there may be no answer
  data.name.trim()
  // @ts-expect-error there may be no name
  data?.name.trim()
  // @ts-expect-error a code that there is not
  if (error?.code === 'invalid_password') return
  // @ts-expect-error a status that there is not
  if (data?.status === 'deleted') return
  // @ts-expect-error a path that there is not
  await api.GET('/accounts')
  // @ts-expect-error the body is needed
  await api.POST('/auth/login')
  // @ts-expect-error so is what the path names
  await api.DELETE('/account/sessions/{id}')
  // @ts-expect-error an event that there is not
  await api.GET('/account/audit', { params: { query: { event: 'logged_in' } } })

  const answer = await latchkey.getAccount()
  // @ts-expect-error there may be no answer
  answer.data.name
  // @ts-expect-error there may be no name
  answer.data?.name.trim()
  // @ts-expect-error a code that there is not
  if (answer.error?.code === 'invalid_password') return
  // @ts-expect-error a status that there is not
  if (answer.data?.status === 'deleted') return
  // @ts-expect-error the body is needed
  await latchkey.logIn()
  // @ts-expect-error so is what the path names
  await latchkey.endSession()
  // @ts-expect-error a field that there is not
  await latchkey.administerAccount({ path: { id }, body: { password: '' } })
  // @ts-expect-error an event that there is not
  await latchkey.listOwnAuditEvents({ query: { event: 'logged_in' } })
}
