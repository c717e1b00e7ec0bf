import t from 'tap'
import { createService, databases } from '../helpers/service.ts'

for (const database of databases) {
  t.test(`sign up and be let in, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken, accountId } = await service.signUp()
    const me = await service.send('GET', '/me', { token: accessToken })
    t.equal(me.statusCode, 200)
    t.equal(me.json().sub, accountId)
  })
}
