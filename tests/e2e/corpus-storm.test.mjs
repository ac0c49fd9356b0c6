// The corpus, changed at random, through the real binary: whatever clients send, servers get whole requests in plain framing or see them cut; whatever
// servers answer, no client gets the answer to another's request. TURNOUT_SEED repeats a run, TURNOUT_LONG makes it long.
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, test } from 'node:test'
import { Changes, seedAnswers, seedRequests } from './lib/changes.mjs'
import { message } from './lib/corpus.mjs'
import { Wire } from './lib/raw.mjs'
import { Turnout, until } from './lib/turnout.mjs'

const seed = Number(process.env.TURNOUT_SEED ?? Date.now() % 2 ** 32)
const seconds = process.env.TURNOUT_LONG ? 60 : 4
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const wrong = []

// What makes a head one that nobody reads otherwise: every line a field, one Host, one framing. The reason why it is not, or ''.
function whyAmbiguous (head) {
  const lines = head.slice(0, -4).split('\r\n')
  if (/[\0\r\n]/.test(lines.join(''))) return 'line ends'
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [!-~]+ HTTP\/1\.1$/.test(lines[0])) return 'request line'
  const fields = lines.slice(1).map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)])
  const named = name => fields.filter(([n]) => n.toLowerCase().replaceAll('_', '-') === name)
  if (fields.some(([name, value]) => !token.test(name) || /[\x00-\x08\x0a-\x1f\x7f]/.test(value))) return 'field'
  if (named('host').length !== 1) return 'Host'
  if (named('content-length').length + named('transfer-encoding').length > 1) return 'framing'
  if (named('content-length').some(([, value]) => !/^\d+$/.test(value)) || named('transfer-encoding').some(([, value]) => value.toLowerCase() !== 'chunked')) return 'framing'
  if (named('x-forwarded-for').map(([, value]) => value).join() !== '127.0.0.1') return 'X-Forwarded-For'
  return ''
}

// Judges what it gets, and answers; a handshake is refused.
const judge = net.createServer(socket => {
  let rest = Buffer.alloc(0)
  socket.on('error', () => {}).on('data', data => {
    rest = Buffer.concat([rest, data])
    const head = rest.subarray(0, rest.indexOf('\r\n\r\n') + 4).toString('latin1')
    if (head && whyAmbiguous(head)) wrong.push([whyAmbiguous(head), head])
    for (let next; (next = message(rest)) !== null;) {
      rest = rest.subarray(next.length)
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n' + (next.first.startsWith('HEAD ') ? '' : 'ok'))
      if (whyAmbiguous(next.head)) wrong.push([whyAmbiguous(next.head), next.head])
    }
  })
})
// Answers /row with what is changed, anything else with its own path.
const answers = new Changes(seed, seedAnswers())
const liar = net.createServer({ allowHalfOpen: true }, socket => {
  let rest = Buffer.alloc(0)
  socket.on('error', () => {}).on('end', () => socket.end()).on('data', data => {
    rest = Buffer.concat([rest, data])
    for (let next; (next = message(rest)) !== null;) {
      rest = rest.subarray(next.length)
      const path = next.first.split(' ')[1]
      if (path !== '/row') { socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`); continue }
      // at once: what comes when the next request is already on its way cannot be told from its answer, by anyone
      socket.write(answers.next())
      if (answers.random(3) === 0) socket.end()
    }
  })
})

let turnout
before(async () => {
  for (const server of [judge, liar]) await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  turnout = await Turnout.start(t => `workers: 1
listeners: [ { listen: 127.0.0.1:${t.port} } ]
limits: { request_head: 8k, response_head: 8k, headers: 50, body: 64k }
timeouts: { request_head: 1s, body: 500ms, response: 2s, keepalive: 1s, handshake: 2s }
pools: { judge: { servers: [ 127.0.0.1:${judge.address().port} ] }, liar: { servers: [ 127.0.0.1:${liar.address().port} ] } }
routes: [ { match: { host: liar }, pool: liar }, { pool: judge } ]
`)
})
after(async () => { await turnout.stop(); judge.close(); liar.close() })

const together = (count, one) => Promise.all(Array.from({ length: count }, async () => { for (const end = Date.now() + seconds * 1000; Date.now() < end;) await one() }))

test(`requests, seed ${seed}: what the server gets is never ambiguous`, { timeout: 200000 }, async t => {
  const changes = new Changes(seed, seedRequests())
  let sent = 0
  await together(16, async () => {
    const wire = await Wire.connect(turnout.port)
    const input = changes.next()
    wire.send(input).end()
    await wire.closed(10000)
    if (/HTTP\/1.1 200/.test(wire.text)) changes.keep(input)
    wire.close()
    sent++
  })
  t.diagnostic(`${sent} inputs`)
  assert.deepEqual(wrong.slice(0, 3), [])
  assert.ok(sent > 100)
})
test(`answers, seed ${seed}: nobody gets what was meant for another`, { timeout: 200000 }, async t => {
  let sent = 0
  await together(8, async () => {
    const mine = `/mine/${++sent}`
    const wire = await Wire.connect(turnout.port)
    wire.send(`${['GET', 'HEAD', 'POST'][sent % 3]} /row HTTP/1.1\r\nHost: liar\r\n\r\n`)
    await wire.wait(() => wire.got.length || wire.ended, 'anything', 10000)
    wire.close()
    const other = await Wire.connect(turnout.port)
    other.send(`GET ${mine} HTTP/1.1\r\nHost: liar\r\nConnection: close\r\n\r\n`)
    await other.closed(10000)
    const got = message(other.got, { method: 'GET' })
    assert.ok(got, `${mine}: no whole answer: ${JSON.stringify(other.text)}`)
    assert.deepEqual([got.status, got.body, got.length], [200, mine, other.got.length])
    other.close()
  })
  t.diagnostic(`${sent} answers`)
  await until(() => turnout.counters().connections === 0, 'nothing hangs')
})
