const p = require('@fastify/proxy-addr')
const f = p.compile(['10.0.0.0/8'])
for (const h of [{}, { 'x-forwarded-for': '1.2.3.4' }])
  try {
    console.log(p({ headers: h, socket: { remoteAddress: undefined }, connection: {} }, f))
  } catch (e) {
    console.log('THROWS', e.message)
  }
