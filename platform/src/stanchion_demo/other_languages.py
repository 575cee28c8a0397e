"""The same questions in German, French, Spanish and Dutch. Templates of `words.write`: (language, question, answer)."""

# ruff: noqa: E501 - a text stands on one line where that reads best

from __future__ import annotations

EXCHANGES = (
    ("de", "[Hallo,|Guten Tag,|Moin,] wo [bleibt|ist] meine Bestellung {order}? Sie sollte [längst|schon] in {city} sein. [Danke!|Vielen Dank, {first}]",
     "Ihre Bestellung {order} wurde gestern von {carrier} in {city} gescannt und kommt voraussichtlich in den nächsten zwei Werktagen. Ist sie dann nicht da, [melden Sie sich bitte|schreiben Sie mir], ich starte eine Nachforschung."),
    ("de", "[Ich habe gelesen|Stimmt es], dass der Akku vom Aurora E-Bike zurückgerufen wird? Meiner wird beim Laden [sehr warm|heiß]. [Was soll ich tun?|Darf ich noch fahren?] Bestellnummer {order}.",
     "Bitte laden Sie den Akku nicht mehr und lagern Sie ihn kühl. Betroffen sind die Seriennummern AU23-04 bis AU23-11. Registrieren Sie {order} auf der Rückrufseite, dann schicken wir eine zugelassene Box; der neue Akku folgt binnen zehn Werktagen."),
    ("de", "Ich möchte den Artikel „{product}“ zurückgeben, [er passt nicht|die Farbe gefällt mir nicht]. [Wie geht das?|Bekomme ich ein Etikett?]",
     "Das geht innerhalb von dreißig Tagen nach der Lieferung. Das kostenlose Etikett ist unterwegs an Ihre Mailadresse; die Originalverpackung ist nicht nötig."),
    ("de", "Nach {months} Monaten macht mein „{product}“ [Geräusche|Probleme]. Ist das ein Garantiefall?",
     "Ja, die zwei Jahre gesetzliche Gewährleistung gelten noch. Bitte schicken Sie ein Foto und die Seriennummer; die Technik meldet sich binnen zwei Werktagen unter {ticket}."),
    ("fr", "Bonjour, [où en est|avez-vous des nouvelles de] ma commande {order} ? [Elle devait arriver|Je l'attendais] il y a {days} jours à {city}. [Merci !|Bien à vous, {first}]",
     "Votre colis {parcel} est chez {carrier} à {city} et devrait arriver sous deux jours ouvrés. Si ce n'est pas le cas, [écrivez-moi ici|dites-le-moi] et j'ouvre une recherche."),
    ("fr", "Le rappel de la batterie Aurora [concerne-t-il|touche-t-il] aussi les vélos achetés à {city} ? La mienne [chauffe beaucoup|devient chaude] en charge et je n'ai plus le ticket.",
     "Les numéros de série AU23-04 à AU23-11 sont concernés, quel que soit le magasin. Ne la chargez plus ; inscrivez-vous sur la page de rappel et nous envoyons une boîte certifiée. Le ticket n'est pas nécessaire."),
    ("fr", "Je voudrais [échanger|rendre] l'article {product}. [Le retour est-il gratuit ?|Comment faire ?]",
     "Vous avez trente jours après la livraison. L'étiquette de retour est gratuite pour les colis et vient de partir à votre adresse mail."),
    ("es", "Hola, [¿dónde está|¿qué pasa con] mi pedido {order}? Lleva {days} días [parado|sin moverse] en {city}. [Gracias|Muchas gracias, {first}]",
     "Su paquete {parcel} está con {carrier} en {city} y debería llegar en dos días laborables. Si no llega, [avíseme aquí|escríbame] y abriré una búsqueda."),
    ("es", "La batería de mi Aurora [se calienta mucho|quema] al cargarla. ¿Está en la lista de retirada? Compré la bici hace {months} meses.",
     "Deje de cargarla, por favor. La retirada afecta a los números de serie AU23-04 a AU23-11. Regístrese en la página de la retirada y le enviamos una caja homologada; la batería nueva sale en diez días laborables."),
    ("nl", "[Hallo,|Goedendag,] ik wil {product} [terugsturen|ruilen]. [Moet ik daarvoor betalen?|Hoe werkt dat?] Bestelling {order}.",
     "U kunt binnen dertig dagen retourneren. Voor pakketten is het label gratis; ik heb het naar uw mailadres gestuurd. De originele doos is niet nodig."),
    ("nl", "De accu van mijn Aurora-fiets wordt [heet|erg warm] bij het laden. Geldt de terugroepactie ook in {city}?",
     "Ja, voor de serienummers AU23-04 tot AU23-11. Laad de accu niet meer op en meld hem aan op de terugroeppagina; u krijgt een goedgekeurde doos en binnen tien werkdagen een nieuwe accu."),
)  # fmt: skip
