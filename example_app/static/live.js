// The two live connections of the page: the pulse at its foot, and tag suggestions while you type.
const { pulse, suggest, last } = document.body.dataset;

const foot = document.getElementById("pulse");
const stream = new EventSource(last ? `${pulse}?after=${last}` : pulse);
stream.addEventListener("pulse", (message) => {
  const { up, generation } = JSON.parse(message.data);
  foot.classList.remove("off");
  foot.textContent = `${generation ? `generation ${generation}` : "plain server"}, up ${up} s`;
});
stream.addEventListener("entry", (message) => {
  const first = document.querySelector(".entry");
  const entry = document.createRange().createContextualFragment(message.data).firstElementChild;
  if (!first || document.getElementById(entry.id)) return;
  entry.classList.add("new");
  first.before(entry);
});
stream.onerror = () => {
  foot.classList.add("off");
  foot.textContent = "reconnecting …";
};

const text = document.getElementById("text");
if (text) {
  let socket;
  const ask = () => socket.readyState === WebSocket.OPEN && socket.send(text.value);
  const connect = () => {
    const url = new URL(suggest, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url);
    socket.onopen = ask;
    socket.onclose = () => setTimeout(connect, 500);
    socket.onmessage = (message) => {
      const { tag, words } = JSON.parse(message.data);
      document.getElementById("words").textContent = words ? `${words} word${words === 1 ? "" : "s"}` : "";
      for (const label of document.querySelectorAll("label.tag")) {
        label.classList.toggle("suggested", label.dataset.tag === tag);
      }
    };
  };
  connect();
  text.addEventListener("input", ask);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) text.form.requestSubmit();
  });
}
