// The page's own part: a session, kept in memory alone, whose token swagger-ui sends with what is tried.

// How long before its end a token is no longer used, in milliseconds.
const MARGIN = 10_000

const find = (id) => document.getElementById(id)
const say = (text) => {
  find('status').textContent = text
}

/** { accessToken, refreshToken, expiresAt, who }: a token that was pasted has no refreshToken. */
let session
let refreshing

const ui = window.SwaggerUIBundle({
  domNode: find('reference'),
  url: 'openapi.json',
  // Else a badge of another host would be asked for.
  validatorUrl: null,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  syntaxHighlight: false,
  plugins: [ownParts],
  onComplete: describe,
  requestInterceptor: withFreshToken,
  responseInterceptor: noticeEnd,
})

/**
 * What the library does that this page does otherwise: what it says of the whole API stands in the head of the page, its
 * dialog for tokens gives way to the form there, a label says what needs a token, and controls have names.
 */
function ownParts({ React }) {
  const h = React.createElement
  const labelled = (name) => (Original) => (props) =>
    h('label', null, h('span', { className: 'unseen' }, name(props)), h(Original, props))
  const guarded = h('span', { className: 'guarded' }, 'token')
  return {
    components: {
      InfoContainer: () => null,
      authorizeBtn: () => null,
      authorizeOperationBtn: () => guarded,
      // A link inside of a button can't be reached by everybody; the address follows what is open in any case.
      DeepLink: ({ text }) => h('span', null, text),
    },
    statePlugins: {
      spec: { wrapActions: { updateJsonSpec: (original) => (spec) => original(unfilled(spec)) } },
    },
    wrapComponents: {
      ExamplesSelect: labelled(() => 'Example'),
      RequestBodyEditor: labelled(() => 'Request body'),
      // Each table of answers is a landmark: it has to say of what.
      responses: (Original) => (props) => {
        const name = (element) =>
          element?.querySelector('[role=region]')?.setAttribute('aria-label', `${props.method} ${props.path}`)
        return h('div', { ref: name }, h(Original, props))
      },
      // What it calls a description begins with the parameter's name.
      JsonSchemaForm: labelled(({ description }) => description),
      contentType:
        (Original) =>
        ({ ariaLabel = 'Media type', ...props }) =>
          h(Original, { ariaLabel, ...props }),
    },
  }
}

/** The contract in which a parameter's example is told, where the library would send it unless it is deleted. */
function unfilled(spec) {
  const operations = Object.values(spec.paths ?? {}).flatMap((path) => Object.values(path))
  for (const parameter of operations.flatMap(({ parameters = [] }) => parameters)) {
    const { example, ...schema } = parameter.schema
    parameter.schema = schema
    if (example !== undefined) {
      parameter.description = [parameter.description, `For example \`${example}\`.`].filter(Boolean).join(' ')
    }
  }
  return spec
}

function describe() {
  const { version, description } = ui.specSelectors.info().toJS()
  find('version').textContent = version
  find('description').textContent = description.replaceAll('`', '')
}

function begin(next) {
  session = next
  const accessToken = {
    name: 'accessToken',
    schema: { type: 'http', scheme: 'bearer' },
    value: next.accessToken,
  }
  ui.authActions.authorize({ accessToken })
  show()
}

function forget() {
  session = undefined
  ui.authActions.logout(['accessToken'])
  show()
}

function show() {
  find('signed-out').hidden = session !== undefined
  find('signed-in').hidden = session === undefined
  find('who').textContent = session?.who ?? ''
}

/** Sends JSON. @returns the answer's; @throws an Error that says in words what was refused */
async function post(path, body, headers = {}) {
  const reply = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  if (reply.status === 204) return undefined
  const answer = await reply.json()
  if (reply.ok) return answer
  const wait = reply.headers.get('retry-after')
  throw Object.assign(new Error(wait === null ? answer.detail : `${answer.detail} Try again in ${wait} s.`), {
    status: reply.status,
  })
}

function keep({ access_token, refresh_token, expires_in }, who) {
  const expiresAt = Date.now() + expires_in * 1_000
  begin({ accessToken: access_token, refreshToken: refresh_token, expiresAt, who })
}

async function refresh({ refreshToken, who }) {
  try {
    keep(await post('auth/refresh', { refresh_token: refreshToken }), who)
  } catch (error) {
    if (error.status === 401) forget()
    say(error.message)
  }
}

/** Exchanges tokens that are about to end. */
async function freshen() {
  if (session?.refreshToken === undefined || Date.now() <= session.expiresAt - MARGIN) return
  refreshing ??= refresh(session).finally(() => {
    refreshing = undefined
  })
  await refreshing
}

// What is tried after a token's end goes with a new one, for as long as the session lasts.
async function withFreshToken(request) {
  if (!request.headers?.Authorization) return request
  await freshen()
  if (session !== undefined) request.headers.Authorization = `Bearer ${session.accessToken}`
  return request
}

// A token may end before its time: by a log-out elsewhere, by an operator, or with new roles.
function noticeEnd(response) {
  if (response.status !== 401 || session === undefined) return response
  const code = response.obj?.code
  if (code === 'token_revoked') {
    forget()
    say('The session has ended.')
  }
  if (code === 'token_stale' || code === 'token_expired') session.expiresAt = 0
  return response
}

/** Runs what a form or button asks for, says how it went, and takes no second click meanwhile. */
async function run(button, work) {
  button.disabled = true
  say('')
  try {
    await work()
  } catch (error) {
    say(error.message)
  } finally {
    button.disabled = false
  }
}

find('log-in').addEventListener('submit', (event) => {
  event.preventDefault()
  const form = event.currentTarget
  const { email, password } = Object.fromEntries(new FormData(form))
  run(form.querySelector('button'), async () => {
    keep(await post('auth/login', { email, password }), `Logged in as ${email}.`)
    form.reset()
    find('log-out').focus()
  })
})

find('use-token').addEventListener('submit', (event) => {
  event.preventDefault()
  const form = event.currentTarget
  begin({ accessToken: new FormData(form).get('token').trim(), who: 'With the token that you pasted.' })
  form.reset()
  say('')
  find('log-out').focus()
})

find('log-out').addEventListener('click', (event) => {
  run(event.currentTarget, async () => {
    await freshen()
    // A token that was pasted is somebody else's to end.
    if (session?.refreshToken !== undefined) await end(session)
    forget()
    find('log-in').elements.email.focus()
  })
})

// What has ended already needs no log-out.
async function end({ accessToken }) {
  try {
    await post('auth/logout', {}, { authorization: `Bearer ${accessToken}` })
  } catch (error) {
    if (error.status !== 401) throw error
  }
}

// The library has a dark mode, but doesn't ask what the system prefers.
const dark = window.matchMedia('(prefers-color-scheme: dark)')
const followSystem = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', followSystem)
followSystem()
