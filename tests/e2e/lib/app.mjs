// A real server (Node's http with ws) whose health a test changes while it runs.
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { WebSocketServer } from 'ws'

export class App {
  // get: status of a GET; body: of it; handshake: status of a handshake (101: accepted); fields: on all answers.
  static async start ({ host = '127.0.0.1', port = 0, tls } = {}) {
    const a = new App()
    Object.assign(a, { get: 200, body: 'fine', handshake: 101, fields: {}, hangs: false, waitMsec: 0, resets: false, deaf: false, requests: [], upgrades: [], sockets: new Set(), says: {} })
    a.server = tls ? https.createServer(tls) : http.createServer()
    a.server.keepAliveTimeout = 60000
    a.ws = new WebSocketServer({ noServer: true, autoPong: false })
    a.server.on('request', (request, response) => a.#answer(request, response))
    a.server.on('upgrade', (request, socket, head) => a.#upgrade(request, socket, head))
    a.server.on('connection', socket => { a.sockets.add(socket); socket.on('close', () => a.sockets.delete(socket)).on('error', () => {}) })
    await new Promise((resolve, reject) => a.server.listen(port, host, resolve).on('error', reject))
    a.port = a.server.address().port
    a.address = `${host}:${a.port}`
    return a
  }

  #answer (request, response) {
    this.requests.push({ url: request.url, headers: request.headers })
    if (this.hangs) {
      response.writeHead(this.get, { 'Content-Length': 100 })
      response.write('some')
      return
    }
    response.writeHead(this.get, { 'Content-Length': Buffer.byteLength(this.body), ...this.fields })
    response.end(this.body)
  }

  #upgrade (request, socket, head) {
    this.upgrades.push({ url: request.url, headers: request.headers })
    setTimeout(() => {
      if (this.handshake !== 101) {
        const fields = Object.entries(this.fields).map(([name, value]) => `${name}: ${value}\r\n`).join('')
        socket.end(`HTTP/1.1 ${this.handshake} X\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(this.body)}\r\n${fields}\r\n${this.body}`)
        return
      }
      const add = headers => { for (const [name, value] of Object.entries(this.fields)) headers.push(`${name}: ${value}`) }
      this.ws.once('headers', add)
      this.ws.handleUpgrade(request, socket, head, client => {
        client.on('error', () => {})
        client.on('ping', payload => { if (!this.deaf) client.pong(payload) })
        client.on('message', (message, isBinary) => String(message) === 'stream' ? this.#stream(client) : client.send(this.says[message] ?? message, { binary: isBinary }))
        if (this.resets) setTimeout(() => socket.resetAndDestroy(), 20)
      })
      this.ws.off('headers', add)
    }, this.waitMsec)
  }

  // 64 KiB after 64 KiB, as fast as they are taken.
  #stream (client) {
    const payload = Buffer.alloc(65536, 's')
    const next = error => { if (!error && client.readyState === 1) setTimeout(() => client.send(payload, next), 1) }
    next()
  }

  get checks () { return [...this.requests, ...this.upgrades].filter(r => r.headers['user-agent']?.includes('health check')) }
  get clients () { return this.upgrades.filter(r => !r.headers['user-agent']?.includes('health check')) }

  // No further connection is accepted; those that stand stay.
  shut () { this.server.close() }
  async stop () {
    for (const socket of this.sockets) socket.destroy()
    if (this.server.listening) await new Promise(resolve => this.server.close(resolve))
  }
}

// Accepts on a whole network of addresses, says nothing, and counts.
export class Listener {
  static async start () {
    const l = new Listener()
    Object.assign(l, { accepted: 0, open: 0, most: 0, times: [] })
    l.server = net.createServer(socket => {
      l.accepted++
      l.times.push(Date.now())
      l.most = Math.max(l.most, ++l.open)
      socket.on('close', () => l.open--).on('error', () => {}).resume()
    })
    await new Promise(resolve => l.server.listen({ port: 0, host: '0.0.0.0', backlog: 4096 }, resolve))
    l.port = l.server.address().port
    return l
  }

  async stop () { await new Promise(resolve => this.server.close(resolve)) }
}
